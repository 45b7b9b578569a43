"""What a container's exit code tells, beyond the number."""

from __future__ import annotations

#: Exit code -> what happened, and where to look.
MEANINGS = {
    1: "its own exit code; for Python, an exception that nobody caught",
    2: "its own exit code; often an argument that it did not understand: it is given the word train or serve",
    126: "the program was found but could not be executed; look for the executable bit, and for what its #! line names",
    127: "a program was not found; look at the PATH, at the #! line and its line end, and at what scripts call",
    132: "it used a CPU instruction that this host lacks (SIGILL); build for plain x86-64, or choose at run time",
    134: "it aborted itself (SIGABRT); an assertion, or a C++ exception that nobody caught",
    135: "it used memory that a file no longer backs (SIGBUS); often /dev/shm is too small for data loader workers",
    136: "it divided by zero in native code (SIGFPE)",
    137: "it was killed (SIGKILL), though no process of it ran out of memory; so by itself, or by one of its own",
    139: "it crashed by a memory fault (SIGSEGV); often a native library built for another CPU (AVX)",
    143: "it was ended by SIGTERM, which nobody outside sent; so by itself, or by one of its own",
}
OUT_OF_MEMORY = "it was killed for running out of memory"


def meaning_of(code: int, *, out_of_memory: bool = False) -> str:
    """An exit code in words. ``out_of_memory``: the kernel killed a process of it for that."""
    if out_of_memory and code == 137:
        return OUT_OF_MEMORY
    known = MEANINGS.get(code, "its own exit code" if code < 128 else f"it was ended by signal {code - 128}")
    return f"{known}, after a process of it had run out of memory" if out_of_memory else known
