"""Which tokens and connections a client accepts, before anything is sent."""

from pathlib import Path

import pytest

from blackbox_am.client import Tls, connect
from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.rpc.channels import check_token, tls_of

TOKEN = "bam_s3cret"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (False, None),
        (True, Tls()),
        ("ca.pem", Tls("ca.pem")),
        (Path("ca.pem"), Tls("ca.pem")),
        (Tls("ca.pem", server_name="x"), Tls("ca.pem", server_name="x")),
    ],
)
def test_tls_has_short_forms(given, expected):
    assert tls_of(given) == expected


def test_a_token_is_not_sent_in_the_clear_to_another_machine():
    for target in (
        "lab.example:50051",
        "dns://8.8.8.8/localhost:1",
        "ipv6:[::1]:1,[2001:db8::1]:1",
    ):
        with pytest.raises(InvalidInput, match="not encrypted") as caught:
            connect(target, token=TOKEN)
        assert TOKEN not in str(caught.value)
    for target in ("localhost:1", "127.0.0.1:1", "[::1]:1", "unix:/run/x.sock"):
        check_token(TOKEN, target, None)
    check_token(TOKEN, "lab.example:50051", Tls())


@pytest.mark.parametrize("token", ["", "two words", "line\n", "schlüssel"])
def test_a_token_that_no_header_holds_is_refused_and_not_shown(token):
    with pytest.raises(InvalidInput, match="printable ASCII") as caught:
        connect("localhost:1", token=token)
    assert not token or token not in str(caught.value)


def test_files_that_are_not_certificates_are_named(tmp_path):
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(InvalidSpec, match=r"ca_file: cannot read certificates from .*ca\.pem"):
        connect("localhost:1", tls=tmp_path / "ca.pem")
    with pytest.raises(InvalidSpec, match="key_file: expected a file"):
        Tls(certificate_file="mine.pem")
