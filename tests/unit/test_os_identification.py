"""The operating system told from files, old and new systems alike."""

from __future__ import annotations

import gzip
import io

import pytest

from tests.images_by_hand import digest_of, file, symlink, tar
from workers.images import DEFAULT_LIMITS, compose
from workers.images.layer import read_layer
from workers.scanners.operating_system import OperatingSystem, identify, parse_os_release

DEBIAN_12 = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
"""


def system_of(files: dict[str, str], links: dict[str, str] | None = None) -> OperatingSystem | None:
    items = [file(name, text.encode()) for name, text in files.items()]
    items += [symlink(name, target) for name, target in (links or {}).items()]
    blob = gzip.compress(tar(items))
    facts = read_layer(io.BytesIO(blob), digest_of(blob), DEFAULT_LIMITS, check=lambda: None)
    return identify(compose([facts]))


@pytest.mark.parametrize(
    ("files", "os_id", "version"),
    [
        ({"etc/os-release": DEBIAN_12}, "debian", "12"),
        ({"usr/lib/os-release": DEBIAN_12}, "debian", "12"),
        ({"etc/os-release": 'ID="centos"\nVERSION_ID="7"\n'}, "centos", "7"),
        ({"etc/os-release": "ID='ol'\nVERSION_ID=7.9"}, "ol", "7.9"),
        ({"etc/os-release": "ID=alpine\nVERSION_ID=3.5.2\n"}, "alpine", "3.5.2"),
        ({"etc/os-release": 'ID="amzn"\nVERSION_ID="2023"\n'}, "amzn", "2023"),
        ({"etc/os-release": "ID=Debian\r\nVERSION_ID=10\r\n"}, "debian", "10"),
        # Debian 6 had no os-release, nor had CentOS 5 and 6, nor Amazon Linux at first.
        ({"etc/debian_version": "6.0.10\n"}, "debian", "6.0.10"),
        ({"etc/redhat-release": "CentOS release 6.10 (Final)\n"}, "centos", "6.10"),
        ({"etc/redhat-release": "CentOS Linux release 7.9.2009 (Core)\n"}, "centos", "7.9.2009"),
        ({"etc/redhat-release": "Red Hat Enterprise Linux Server release 7.9 (Maipo)\n"}, "rhel", "7.9"),
        (
            {
                "etc/oracle-release": "Oracle Linux Server release 6.10\n",
                "etc/redhat-release": "Red Hat Enterprise Linux Server release 6.10 (Santiago)\n",
            },
            "ol",
            "6.10",
        ),
        ({"etc/system-release": "Amazon Linux AMI release 2018.03\n"}, "amzn", "2018.03"),
        ({"etc/alpine-release": "3.4.6\n"}, "alpine", "3.4.6"),
        (
            {
                "etc/lsb-release": 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=12.04\nDISTRIB_DESCRIPTION="Ubuntu 12.04"\n',
                "etc/debian_version": "wheezy/sid\n",
            },
            "ubuntu",
            "12.04",
        ),
        # An image between two releases: os-release of testing names no version.
        ({"etc/os-release": "ID=debian\nNAME=Debian\n", "etc/debian_version": "12.5\n"}, "debian", "12.5"),
        ({"etc/os-release": "ID=debian\nNAME=Debian\n", "etc/debian_version": "trixie/sid\n"}, "debian", ""),
        # An empty or foreign os-release says nothing; the next file may.
        ({"etc/os-release": "", "etc/alpine-release": "3.3.1"}, "alpine", "3.3.1"),
        ({"etc/os-release": "NAME=thing\n", "etc/debian_version": "8.11"}, "debian", "8.11"),
    ],
)
def test_identified(files: dict[str, str], os_id: str, version: str) -> None:
    found = system_of(files)
    assert found is not None
    assert (found.id, found.version) == (os_id, version)


def test_name_is_the_pretty_one_and_the_file_is_told() -> None:
    found = system_of({"usr/lib/os-release": DEBIAN_12}, {"etc/os-release": "../usr/lib/os-release"})
    assert found is not None
    assert (found.name, found.path) == ("Debian GNU/Linux 12 (bookworm)", "/etc/os-release")
    assert found.fields["VERSION_CODENAME"] == "bookworm"


@pytest.mark.parametrize(
    "files", [{}, {"etc/os-release": "\x00\x01 garbage"}, {"etc/redhat-release": "Somebody's own release 1"}]
)
def test_image_that_does_not_tell_is_unknown(files: dict[str, str]) -> None:
    assert system_of(files) is None


def test_removed_os_release_tells_nothing() -> None:
    blobs = [gzip.compress(tar([file(name, b"ID=debian\n")])) for name in ("etc/os-release", "etc/.wh.os-release")]
    layers = [read_layer(io.BytesIO(b), digest_of(b), DEFAULT_LIMITS, check=lambda: None) for b in blobs]
    assert identify(compose(layers[:1])) is not None
    assert identify(compose(layers)) is None


def test_endless_values_are_cut_to_what_is_stored() -> None:
    found = system_of({"etc/os-release": f"ID={'x' * 5000}\nVERSION_ID={'9' * 5000}\nPRETTY_NAME={'n' * 5000}\n"})
    assert found is not None
    assert (len(found.id), len(found.version), len(found.name)) == (60, 60, 160)


def test_os_release_is_unquoted_as_a_shell_would() -> None:
    text = '# a comment\nA="x \\"y\\" $z"\nB=\'it\'\nC=\n D=4\nE="never closed\nnot a line\nlower=1\n'
    assert parse_os_release(text) == {"A": 'x "y" $z', "B": "it", "C": "", "D": "4", "E": "never closed"}
