"""Tries to get out by every way there is. Arguments: addresses and ports of listeners as address:port."""
import socket, struct, sys


def attempt(what, action):
    try:
        print(what, "->", action(), flush=True)
    except OSError as error:
        print(what, "->", type(error).__name__, error, flush=True)


def tcp(host, port, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as channel:
        channel.settimeout(0.5)
        channel.connect((host, port))
        channel.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return "connected"


def udp(host, port, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.sendto(b"hello", (host, port))
        return "sent"


def nameserver():
    for line in open("/etc/resolv.conf"):
        if line.startswith("nameserver"):
            return line.split()[1]


def dns_tcp(name):
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    query += b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0\0\x01\0\x01"
    with socket.create_connection((nameserver(), 53), timeout=0.5) as channel:
        channel.sendall(struct.pack("!H", len(query)) + query)
        return "rcode %d" % (channel.recv(512)[5] & 15)


def ping(host):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as channel:
        channel.settimeout(0.5)
        channel.sendto(struct.pack("!BBHHH", 8, 0, 0xF7FE, 1, 0), (host, 0))
        while True:
            reply = channel.recv(512)
            if reply[20] == 0:
                return "echo reply"


for target in sys.argv[1:]:
    host, _, port = target.rpartition(":")
    attempt("tcp " + target, lambda: tcp(host, int(port)))
    attempt("udp " + target, lambda: udp(host, int(port)))
attempt("dns name", lambda: socket.getaddrinfo("telemetry.example.com", 443))
attempt("dns tcp", lambda: dns_tcp("licence.example.org"))
attempt("own name", lambda: socket.getaddrinfo(socket.gethostname(), 80))
attempt("tcp 93.184.215.14:443", lambda: tcp("93.184.215.14", 443))
attempt("tcp 8.8.8.8:53", lambda: tcp("8.8.8.8", 53))
attempt("udp 8.8.8.8:123", lambda: udp("8.8.8.8", 123))
attempt("tcp6", lambda: tcp("2001:4860:4860::8888", 443, socket.AF_INET6))
attempt("udp6", lambda: udp("2001:4860:4860::8888", 123, socket.AF_INET6))
attempt("metadata", lambda: tcp("169.254.169.254", 80))
attempt("ping", lambda: ping("1.1.1.1"))
attempt("raw 47", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 47).sendto(b"x" * 20, ("203.0.113.9", 0)))
own = socket.create_server(("0.0.0.0", 7000))
attempt("tcp 198.51.100.7:7000", lambda: tcp("198.51.100.7", 7000))
