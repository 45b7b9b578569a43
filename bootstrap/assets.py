"""The portal's front-end files: installed by npm from the lock, and the few that are served copied to static."""

import os
import re
import shutil
from pathlib import Path

from bootstrap import venv
from bootstrap.home import ROOT, SHARED
from bootstrap.report import step
from bootstrap.run import run

VENDOR = ROOT / "portal" / "static" / "vendor"
INTER, MONO = "@fontsource-variable/inter", "@fontsource-variable/jetbrains-mono"
ICONS = "@tabler/icons-webfont/dist"
SUBSETS = ("latin", "latin-ext")
# Where a file of a package goes below static/vendor/.
FILES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler/tabler.min.css",
    "@tabler/core/dist/js/tabler.min.js": "tabler/tabler.min.js",
    f"{ICONS}/tabler-icons.min.css": "icons/tabler-icons.min.css",
    f"{ICONS}/fonts/tabler-icons.woff2": "icons/fonts/tabler-icons.woff2",
    f"{INTER}/LICENSE": "fonts/inter-LICENSE",
    f"{MONO}/LICENSE": "fonts/jetbrains-mono-LICENSE",
    **{f"{INTER}/files/inter-{s}-wght-normal.woff2": f"fonts/inter-{s}.woff2" for s in SUBSETS},
    **{f"{MONO}/files/jetbrains-mono-{s}-wght-normal.woff2": f"fonts/jetbrains-mono-{s}.woff2" for s in SUBSETS},
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "ansi_up/ansi_up.js": "ansi_up.js",
    "tus-js-client/dist/tus.min.js": "tus.min.js",
    # sha2.js and what it imports. Plain script: WebCrypto cannot hash in slices, and WebAssembly needs a wider policy.
    **{f"@noble/hashes/{name}.js": f"hashes/{name}.js" for name in ("sha2", "_md", "_u64", "utils")},
}
FACES = (("Inter Variable", "inter", INTER), ("JetBrains Mono Variable", "jetbrains-mono", MONO))
SOURCE_MAP = re.compile(rb"(?m)^\s*(?://|/\*)# sourceMappingURL=\S+(?: \*/)?\s*$")
FONT_SOURCES = re.compile(rb"src:(?:url\([^)]*\)(?: ?format\([^)]*\))?,?)+")


def ensure() -> None:
    """Bring portal/static/vendor/ to what package-lock.json says."""
    inputs = [ROOT / "package.json", ROOT / "package-lock.json", Path(__file__)]
    marker, key = SHARED.path("assets.done"), venv.digest(inputs)
    if venv.is_done(marker, key) and VENDOR.is_dir():
        return
    with step("Front-end assets"):
        build = SHARED.directory("npm")
        for path in inputs[:2]:
            shutil.copy(path, build)
        npm, env = _npm()
        # No package's own scripts run: only files are wanted.
        run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], "npm ci", cwd=build, env=env)
        _copy(build / "node_modules")
        shutil.rmtree(build / "node_modules")
    marker.write_text(key)


def _npm() -> tuple[str | Path, dict[str, str]]:
    """The npm of this machine, else the one in the locked wheel of Node.js."""
    if shutil.which("npm") and shutil.which("node"):
        return "npm", {}
    node = SHARED.directory("tools") / "node"
    marker, lock = SHARED.path("tools", "node.done"), venv.TOOL_LOCKS / "node.txt"
    key = venv.digest([lock])
    if not (venv.is_done(marker, key) and (node / "bin" / "npm").exists()):
        program, env = venv.uv(), venv.uv_environment()
        with step("Node.js"):
            run([program, "venv", "--quiet", "--clear", node], "uv venv", env=env)
            python = node / "bin" / "python"
            command = [program, "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock]
            run(command, "Installing Node.js from its lock", env=env)
        marker.write_text(key)
    extra = {"NODE_EXTRA_CA_CERTS": str(venv.CA_BUNDLE)} if venv.CA_BUNDLE.exists() else {}
    return node / "bin" / "npm", {"PATH": f"{node / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}", **extra}


def _copy(modules: Path) -> None:
    fresh = VENDOR.with_name("vendor.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for source, target in FILES.items():
        path = fresh / target
        path.parent.mkdir(parents=True, exist_ok=True)
        data = (modules / source).read_bytes()
        if path.suffix in (".css", ".js"):
            # A hashed-name static storage refuses files that point at others which are not there.
            data = SOURCE_MAP.sub(b"", data)
        if target.startswith("icons/") and path.suffix == ".css":
            data = FONT_SOURCES.sub(b'src:url("fonts/tabler-icons.woff2") format("woff2")', data)
        path.write_bytes(data)
    (fresh / "fonts" / "fonts.css").write_text(_font_css(modules))
    shutil.rmtree(VENDOR, ignore_errors=True)
    fresh.rename(VENDOR)


def _font_css(modules: Path) -> str:
    """@font-face rules of the kept subsets, taken from the packages' own stylesheets."""
    rules = []
    for family, short, package in FACES:
        css = (modules / package / "wght.css").read_text()
        for subset in SUBSETS:
            file = f"{short}-{subset}-wght-normal.woff2"
            rule = next(part for part in re.findall(r"@font-face \{.*?\}", css, re.S) if f"/{file})" in part)
            rules.append(re.sub(r"url\([^)]*\)", f'url("{short}-{subset}.woff2")', rule))
        if f"'{family}'" not in css:
            raise ValueError(f"{package} no longer names its family {family}")
    return "\n".join(rules) + "\n"
