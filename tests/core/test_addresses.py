import pytest

from blackbox_am.core.addresses import grpc_proxy_options, is_loopback, with_port


@pytest.mark.parametrize(
    "address",
    [
        "localhost",
        "LOCALHOST:50051",
        "my.localhost:1",
        "127.0.0.1",
        "127.8.9.1:80",
        "::1",
        "[::1]:50051",
        "0.0.0.0:50051",
        "[::]:50051",
        "dns:///localhost:50051",
        "dns:localhost:50051",
        "localhost.:50051",
        "ipv4:127.0.0.1:50051",
        "ipv6:[::1]:50051",
        "unix:/run/server.sock",
        "unix:///run/server.sock",
    ],
)
def test_addresses_of_this_machine(address: str) -> None:
    assert is_loopback(address)
    assert grpc_proxy_options(address) == [("grpc.enable_http_proxy", 0)]


@pytest.mark.parametrize(
    "address",
    [
        "example.com",
        "example.com:443",
        "localhost.example.com",
        "10.0.0.1:80",
        "[2001:db8::1]:1",
        "dns://8.8.8.8/localhost:1",
        "dns://8.8.8.8:53/127.0.0.1:1",
        "dns:////localhost:1",
        "dns:///example.com/localhost:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1",
        "ipv4:10.0.0.1:1/127.0.0.1:1",
        "ipv6:[::1]:1,[2001:db8::1]:1",
        "[::1]:1,[2001:db8::1]:1",
        "localhost#.example.com:1",
        "localhost?.example.com:1",
        "localhost/.example.com:1",
        "example.com@localhost:1",
        "localhost:example.com",
        "xds:///localhost:1",
        "",
    ],
)
def test_addresses_of_others(address: str) -> None:
    assert not is_loopback(address)
    assert grpc_proxy_options(address) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("gpu-box", "gpu-box:50051"),
        ("localhost:1234", "localhost:1234"),
        ("localhost:0", "localhost:0"),
        ("10.0.0.7", "10.0.0.7:50051"),
        ("::1", "[::1]:50051"),
        ("[::1]", "[::1]:50051"),
        ("[::1]:80", "[::1]:80"),
        ("unix:/run/server.sock", "unix:/run/server.sock"),
        ("dns:///lab.example", "dns:///lab.example"),
    ],
)
def test_a_host_alone_gets_the_default_port(given: str, expected: str) -> None:
    assert with_port(given) == expected
