"""Calls to elsewhere, each in the way of another kind of program."""
import socket, ssl, struct, subprocess, sys, urllib.request


def attempt(what, action):
    try:
        print(what, "->", action(), flush=True)
    except OSError as error:
        print(what, "->", type(error).__name__, error, flush=True)


def question(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\0\0\x01\0\x01"


def nameserver():
    for line in open("/etc/resolv.conf"):
        if line.startswith("nameserver"):
            return line.split()[1]


def dns_udp(server, name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(0.5)
        channel.sendto(question(name), (server, 53))
        return "rcode %d" % (channel.recv(512)[3] & 15)


def dns_tcp(name):
    with socket.create_connection((nameserver(), 53), timeout=0.5) as channel:
        message = question(name)
        channel.sendall(struct.pack("!H", len(message)) + message)
        return "rcode %d" % (channel.recv(512)[5] & 15)


def tcp(host, port, said=b"", family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as channel:
        channel.settimeout(0.5)
        channel.connect((host, port))
        channel.sendall(said)
        return channel.recv(100)


def https(host):
    with socket.create_connection((host, 443), timeout=0.5) as channel:
        ssl.create_default_context().wrap_socket(channel, server_hostname=host)


def busybox(*arguments, said=""):
    command = ["/usr/local/bin/busybox", *arguments]
    done = subprocess.run(command, input=said, capture_output=True, timeout=20, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[-1:]


def every_kind():
    attempt("tls", lambda: https("huggingface.co"))
    attempt("http", lambda: urllib.request.urlopen("http://pypi.example/simple/numpy/?x=1", timeout=0.5))
    licence = "GET /licence HTTP/1.0\r\n\r\n"
    attempt("static program", lambda: busybox("nc", "-w", "1", "93.184.215.14", "8000", said=licence))
    attempt("static nslookup", lambda: busybox("nslookup", "static.example.org"))
    attempt("own resolver", lambda: dns_udp("8.8.8.8", "own-resolver.example.org"))
    attempt("dns tcp", lambda: dns_tcp("by-tcp.example.org"))
    attempt("ipv6", lambda: tcp("2001:4860:4860::8888", 443, family=socket.AF_INET6))
    attempt("hard-coded", lambda: tcp("93.184.215.14", 443))
    attempt("metadata", lambda: tcp("169.254.169.254", 80, b"GET /latest/meta-data/iam/ HTTP/1.1\r\n\r\n"))
    attempt("ecs", lambda: tcp("169.254.170.2", 80, b"GET /v2/credentials HTTP/1.1\r\nHost: x\r\n\r\n"))
    attempt("own name", lambda: socket.getaddrinfo(socket.gethostname(), 80))
    attempt("own name by dns", lambda: dns_udp(nameserver(), socket.gethostname()))


def flood():
    for number in range(6000):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            channel.sendto(b"x", ("203.0.113.%d" % (number % 4), 9999))
    for number in range(2000):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as channel:
            channel.setblocking(False)
            channel.connect_ex(("203.0.113.9", number % 1000 + 1))
    for number in range(2000):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            channel.sendto(question("name%d.example.org" % number), (nameserver(), 53))


def own_ports():
    """A container may use every port itself."""
    held = [socket.create_server(("0.0.0.0", port)) for port in (53, 80, 443)]
    held.append(socket.create_server(("::", 53), family=socket.AF_INET6))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("0.0.0.0", 53))
    attempt("own port", lambda: socket.create_connection(("127.0.0.1", 80), timeout=0.5) and "connected")
    attempt("dns beside own", lambda: dns_udp(nameserver(), "beside.example.org"))


def own_address(family=socket.AF_INET, elsewhere="8.8.8.8"):
    """As Ray and Dask do: the route to some address tells the own one, without a packet; then it serves itself there."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((elsewhere, 80))
        address = probe.getsockname()[0]
    with socket.create_server((address, 6379), family=family) as server:
        with socket.create_connection((address, 6379), timeout=0.5) as client, server.accept()[0] as other:
            client.sendall(b"served itself")
            return address, other.recv(100)


def call_itself():
    """A call to elsewhere on ports that the container listens on."""
    with socket.create_server(("0.0.0.0", 7000)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("0.0.0.0", 7001))
        attempt("own port elsewhere", lambda: socket.create_connection(("198.51.100.7", 7000), 0.5) and "connected")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            client.connect(("198.51.100.7", 7001))
            client.send(b"hello")
            datagrams.settimeout(0.5)
            attempt("own datagrams", lambda: answer(datagrams))


def answer(datagrams):
    """The answer comes from the address that was called, as of a server that is bound to it."""
    said, client = datagrams.recvfrom(10)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        datagrams.close()
        other.bind(("198.51.100.7", 7001))
        return other.sendto(said, client)


if __name__ == "__main__":
    {"kinds": every_kind, "flood": flood, "ports": own_ports}[sys.argv[1]]()
