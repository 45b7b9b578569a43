"""Addresses of repositories and images: what is taken, what is refused, and that no secret passes."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listings import addresses
from listings.problems import ProblemError

_label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
_host = st.builds(lambda labels: ".".join([*labels, "example"]), st.lists(_label, min_size=1, max_size=3))
_part = st.from_regex(r"[a-z0-9]+(?:(?:\.|_|__|-{1,3})[a-z0-9]+){0,2}", fullmatch=True)
_path = st.builds("/".join, st.lists(_part, min_size=1, max_size=4))
_port = st.one_of(st.none(), st.integers(1, 65535))


@pytest.mark.parametrize(
    ("typed", "url", "site"),
    [
        ("https://github.com/acme/churn.git", "https://github.com/acme/churn.git", "github.com"),
        (" HTTPS://GitHub.com:443/acme/churn/ ", "https://github.com/acme/churn", "github.com"),
        ("https://git.example.com:8443/a/b", "https://git.example.com:8443/a/b", "git.example.com:8443"),
        ("ssh://git.example.com/a.git", "ssh://git@git.example.com/a.git", "git.example.com"),
        ("ssh://deploy@git.example.com:2222/~/a", "ssh://deploy@git.example.com:2222/~/a", "git.example.com:2222"),
        ("git@github.com:acme/churn.git", "git@github.com:acme/churn.git", "github.com"),
        ("git@[2001:DB8:0::1]:a.git", "git@[2001:db8::1]:a.git", "[2001:db8::1]"),
        ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a", "[2001:db8::1]:8443"),
        ("https://bücher.example/a", "https://xn--bcher-kva.example/a", "xn--bcher-kva.example"),
        ("https://git.example.com./a", "https://git.example.com/a", "git.example.com"),
        ("https://198.51.100.7/a", "https://198.51.100.7/a", "198.51.100.7"),
    ],
)  # fmt: skip
def test_repositories(typed: str, url: str, site: str) -> None:
    found = addresses.parse_git(typed)
    assert (found.url, found.site) == (url, site)
    assert addresses.parse_git(found.url) == found


def test_what_follows_from_an_address() -> None:
    assert addresses.parse_git("https://github.com/acme/churn.git").web_url == "https://github.com/acme/churn"
    assert addresses.parse_git("git@github.com:acme/churn.git").web_url == ""
    scp, ssh = addresses.parse_git("git@h.example:a/b"), addresses.parse_git("ssh://git@h.example/a/b")
    assert (scp.user, scp.path, ssh.user, ssh.path) == ("git", "a/b", "git", "/a/b")


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "ADDRESS-GIT"), ("github.com/acme/churn", "ADDRESS-GIT"), ("/srv/git/churn.git", "ADDRESS-GIT"),
        ("../churn", "ADDRESS-GIT"), ("-oProxyCommand=sh", "ADDRESS-GIT"), ("C:\\churn", "ADDRESS-GIT"),
        ("file:///srv/git", "ADDRESS-SCHEME"), ("git://github.com/a", "ADDRESS-SCHEME"),
        ("ext::sh -c id", "ADDRESS-SCHEME"), ("fd::17", "ADDRESS-SCHEME"), ("ftp://h.example/a", "ADDRESS-SCHEME"),
        ("http://git.example.com/a", "ADDRESS-HTTP"),
        ("https://github.com", "ADDRESS-GIT"), ("https://github.com/", "ADDRESS-GIT"),
        ("https:///acme/churn", "ADDRESS-GIT"), ("https://-h.example/a", "ADDRESS-GIT"),
        ("ssh://-oProxyCommand=id/a", "ADDRESS-GIT"), ("ssh://-l@h.example/a", "ADDRESS-GIT"),
        ("git@-h.example:a", "ADDRESS-GIT"), ("git@h.example:-a", "ADDRESS-GIT"), ("git@h.example:", "ADDRESS-GIT"),
        ("-x@h.example:a", "ADDRESS-GIT"), ("h.example:a", "ADDRESS-GIT"),
        ("https://h.example/a b", "ADDRESS-GIT"), ("https://h.example/a\nb", "ADDRESS-GIT"),
        ("https://h.example\\@evil.example/a", "ADDRESS-GIT"), ("https://h.example/a?x=1", "ADDRESS-GIT"),
        ("https://h.example/a#main", "ADDRESS-GIT"), ("https://h.example/a/../b", "ADDRESS-GIT"),
        ("https://h.example:0/a", "ADDRESS-GIT"), ("https://h.example:70000/a", "ADDRESS-GIT"),
        ("https://h.example:x/a", "ADDRESS-GIT"), ("https://[::1/a", "ADDRESS-GIT"), ("https://[1]/a", "ADDRESS-GIT"),
        ("https://[::1]x/a", "ADDRESS-GIT"), ("https://h..example/a", "ADDRESS-GIT"),
        ("https://2130706433/a", "ADDRESS-GIT"), ("https://0x7f.1/a", "ADDRESS-GIT"),
        ("https://127.1/a", "ADDRESS-GIT"), ("https://h.example//a", "ADDRESS-GIT"),
        (f"https://h.example/{'a' * 500}", "ADDRESS-GIT"),
        ("https://ghp_1234@github.com/a", "ADDRESS-SECRET"), ("https://bob:hunter2@github.com/a", "ADDRESS-SECRET"),
        ("ssh://bob:hunter2@h.example/a", "ADDRESS-SECRET"), ("bob:hunter2@h.example:a", "ADDRESS-SECRET"),
    ],
)  # fmt: skip
def test_refused_repositories(typed: str, code: str) -> None:
    with pytest.raises(ProblemError) as caught:
        addresses.parse_git(typed)
    assert caught.value.code == code
    assert "hunter2" not in str(caught.value)
    assert "ghp_" not in str(caught.value)


@pytest.mark.parametrize(
    ("listed", "typed", "allowed"),
    [
        ("git.lan", "http://git.lan/a", True),
        ("git.lan", "http://git.lan:3000/a", True),
        ("git.lan:3000", "http://git.lan:3000/a", True),
        ("git.lan:3000", "http://git.lan:3001/a", False),
        ("git.lan:80", "http://git.lan/a", True),
        ("other.lan, 10.0.0.7", "http://10.0.0.7/a", True),
        ("lan", "http://git.lan/a", False),
    ],
)
def test_http_for_listed_hosts_only(listed: str, typed: str, allowed: bool) -> None:
    hosts = addresses.listed_hosts(listed)
    if allowed:
        assert addresses.parse_git(typed, http_hosts=hosts).url == typed
        return
    with pytest.raises(ProblemError, match="ADDRESS-HTTP"):
        addresses.parse_git(typed, http_hosts=hosts)


@given(_host, _port, _path, st.sampled_from(["https", "ssh"]))
def test_any_plain_address_is_read_whole(host: str, port: int | None, path: str, scheme: str) -> None:
    site = f"{host}:{port}" if port else host
    found = addresses.parse_git(f"{scheme}://{site}/{path}")
    usual = addresses.DEFAULT_PORTS[scheme]
    assert (found.host, found.port) == (host, None if port == usual else port)
    assert found.path == f"/{path}"
    assert addresses.parse_git(found.url) == found


def _is_plain(text: str) -> bool:
    """A coded problem, or a host."""
    return text.startswith("ADDRESS-") or (text.isascii() and text == text.lower() and " " not in text)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_coded_problem(text: str) -> None:
    for parse in (addresses.parse_git, addresses.parse_image, addresses.parse_host):
        try:
            found = parse(text)
        except ProblemError as error:
            found = error.code
        assert isinstance(found, addresses.GitAddress | addresses.ImageReference) or _is_plain(found)


@given(st.text(alphabet="abc:@/.-[]~%?#\\ git", max_size=24))
def test_what_is_taken_is_safe_as_an_argument(text: str) -> None:
    try:
        url = addresses.parse_git(text).url
    except ProblemError:
        return
    assert not url.startswith("-")
    assert addresses.parse_git(url).url == url
    assert url.startswith(("https://", "ssh://")) or url.count("@") >= 1


@given(st.from_regex(r"[A-Za-z0-9!$]{6,20}", fullmatch=True), _host, _path)
def test_a_secret_in_an_address_goes_no_further(secret: str, host: str, path: str) -> None:
    secret = f"S3cr3t{secret}"
    for typed in (
        f"https://{secret}@{host}/{path}",
        f"https://x:{secret}@{host}/{path}",
        f"ssh://x:{secret}@{host}/{path}",
    ):
        with pytest.raises(ProblemError, match="ADDRESS-SECRET") as caught:
            addresses.parse_git(typed)
        assert secret not in str(caught.value)
        assert secret not in addresses.without_secret(typed)
        assert host in addresses.without_secret(typed)


@pytest.mark.parametrize("typed", ["git@github.com:a/b.git", "ssh://git@h.example/a", "https://h.example/a@b", "x"])
def test_an_address_without_a_secret_is_shown_as_typed(typed: str) -> None:
    assert addresses.without_secret(typed) == typed


@pytest.mark.parametrize(
    ("typed", "scheme", "host"),
    [
        ("GitHub.com", "https", "github.com"), ("https://github.com/acme", "https", "github.com"),
        ("git.example.com:443", "https", "git.example.com"), ("git.example.com:22", "ssh", "git.example.com"),
        ("git.example.com:22", "https", "git.example.com:22"), ("git@github.com:a/b.git", "ssh", "github.com"),
        ("ssh://git@h.example:2222/a", "https", "h.example:2222"),
        ("https://index.docker.io/v1/", "https", "docker.io"), ("docker.io", "https", "docker.io"),
        ("registry.example.com:5000", "https", "registry.example.com:5000"),
        ("[::1]:5000", "https", "[::1]:5000"), ("127.0.0.1:3000", "https", "127.0.0.1:3000"),
    ],
)  # fmt: skip
def test_hosts_of_credentials(typed: str, scheme: str, host: str) -> None:
    assert addresses.parse_host(typed, scheme) == host


@pytest.mark.parametrize(
    ("typed", "code"), [("", "HOST"), ("a b", "HOST"), ("h:x", "HOST"), ("u:p@h.example", "SECRET")]
)
def test_refused_hosts(typed: str, code: str) -> None:
    with pytest.raises(ProblemError, match=f"ADDRESS-{code}"):
        addresses.parse_host(typed)


@pytest.mark.parametrize("typed", ["main", "v1.2.3", "feature/x-1", "refs/heads/main", "a" * 40, " main ", ""])
def test_refs(typed: str) -> None:
    assert addresses.parse_ref(typed) == typed.strip()


@pytest.mark.parametrize(
    "typed",
    ["-x", "--upload-pack=id", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a//b", "/a", "a/", "a.",
     ".a", "a/.b", "a.lock", "a.lock/b", "@", "a@{1}", "a\x00", "a" * 256],
)  # fmt: skip
def test_refused_refs(typed: str) -> None:
    with pytest.raises(ProblemError, match="ADDRESS-REF"):
        addresses.parse_ref(typed)


@pytest.mark.parametrize(
    ("typed", "clean"), [("", ""), (".", ""), ("./a//b/", "a/b"), ("a b/c", "a b/c"), ("..a", "..a")]
)
def test_directories(typed: str, clean: str) -> None:
    assert addresses.parse_directory(typed) == clean


@pytest.mark.parametrize("typed", ["/a", "../a", "a/../../b", "a\\b", "a\nb", ".git", "a/.GIT/hooks", "a" * 256])
def test_refused_directories(typed: str) -> None:
    with pytest.raises(ProblemError, match="ADDRESS-DIRECTORY"):
        addresses.parse_directory(typed)


_SUM = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("typed", "whole", "short"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("acme/churn:1", "docker.io/acme/churn:1", "acme/churn:1"),
        ("docker.io/busybox:1", "docker.io/library/busybox:1", "busybox:1"),
        ("index.docker.io/acme/churn", "docker.io/acme/churn:latest", "acme/churn:latest"),
        ("ghcr.io/acme/churn", "ghcr.io/acme/churn:latest", "ghcr.io/acme/churn:latest"),
        ("localhost/churn", "localhost/churn:latest", "localhost/churn:latest"),
        ("127.0.0.1:5000/a/b:1.0", "127.0.0.1:5000/a/b:1.0", "127.0.0.1:5000/a/b:1.0"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        ("r.example:443/a", "r.example/a:latest", "r.example/a:latest"),
        (f"r.example/a@{_SUM}", f"r.example/a@{_SUM}", f"r.example/a@{_SUM}"),
        (f"r.example/a:1@{_SUM}", f"r.example/a:1@{_SUM}", f"r.example/a:1@{_SUM}"),
        ("R.example/a__b/c--d.e", "r.example/a__b/c--d.e:latest", "r.example/a__b/c--d.e:latest"),
    ],
)  # fmt: skip
def test_images(typed: str, whole: str, short: str) -> None:
    found = addresses.parse_image(typed)
    assert (str(found), found.short) == (whole, short)
    assert addresses.parse_image(str(found)) == addresses.parse_image(found.short) == found


def test_what_is_asked_of_the_registry() -> None:
    assert addresses.parse_image("busybox").api_host == "registry-1.docker.io"
    assert addresses.parse_image("r.example/a:1").api_host == "r.example"
    assert addresses.parse_image(f"r.example/a:1@{_SUM}").wanted == _SUM
    assert addresses.parse_image("r.example/a:1").wanted == "1"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "IMAGE"), ("Busybox", "IMAGE"), ("acme/Churn", "IMAGE"), ("a:", "IMAGE"), ("a:-x", "IMAGE"),
        (f"a:{'t' * 129}", "IMAGE"), ("a@sha256:12", "IMAGE"), ("a@md5:" + "0" * 32, "IMAGE"), ("a//b", "IMAGE"),
        ("r.example/", "IMAGE"), ("r.example:0/a", "IMAGE"), ("-a/b", "IMAGE"), ("a b", "IMAGE"), ("0" * 64, "IMAGE"),
        ("https://r.example/a", "IMAGE"), ("docker://r.example/a", "IMAGE"), ("a___b", "IMAGE"), ("a/b:1:2", "IMAGE"),
        (f"r.example/{'a' * 250}", "IMAGE"),
        ("https://u:hunter2@r.example/a", "SECRET"), ("u:hunter2@r.example/a", "SECRET"),
    ],
)  # fmt: skip
def test_refused_images(typed: str, code: str) -> None:
    with pytest.raises(ProblemError) as caught:
        addresses.parse_image(typed)
    assert caught.value.code == f"ADDRESS-{code}"
    assert "hunter2" not in str(caught.value)


@given(_host, _port, _path, st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True), st.booleans())
def test_any_image_is_read_whole(host: str, port: int | None, path: str, tag: str, pinned: bool) -> None:
    site = f"{host}:{port}" if port else host
    found = addresses.parse_image(f"{site}/{path}:{tag}{'@' + _SUM if pinned else ''}")
    assert (found.registry, found.repository, found.tag) == (host if port == 443 else site, path, tag)
    assert addresses.parse_image(str(found)) == found


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_addresses_by_number(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    shown = f"[{address}]" if address.version == 6 else str(address)
    found = addresses.parse_git(f"https://{shown}/a")
    assert ipaddress.ip_address(found.host) == address
