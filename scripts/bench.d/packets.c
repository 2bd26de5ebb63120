// Sends packets through this host as if they came from a computer on its LAN, and prints the nanoseconds that
// one takes: out in an established connection, back in it, and first of a connection. Everything happens in
// one call to write(2): the kernel receives a packet of a tap device, filters, routes and translates it, and
// sends it.
//
//   packets LAN OUT MAC FROM TO     a tap and a tun device, the addresses of the computer, and a server's
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

// The queue of a tun device has room for 500 packets.
enum { BURST = 256, BURSTS = 30, NEW_BURSTS = 8, PORT = 9 };

struct packet {
    struct iphdr ip;
    struct udphdr udp;
    char payload[64];
};

// Two bytes of padding align the packet behind the Ethernet header.
struct frame {
    char padding[2];
    struct ethhdr ethernet;
    struct packet packet;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int open_device(const char *name, short kind, struct ifreq *request) {
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (device < 0) die("/dev/net/tun");
    memset(request, 0, sizeof *request);
    strncpy(request->ifr_name, name, IFNAMSIZ - 1);
    request->ifr_flags = kind | IFF_NO_PI;
    if (ioctl(device, TUNSETIFF, request) < 0) die(name);
    return device;
}

static uint16_t header_sum(const struct iphdr *ip) {
    const uint16_t *words = (const uint16_t *)ip;
    uint32_t sum = 0;
    for (size_t i = 0; i < sizeof *ip / 2; i++) sum += words[i];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

static void send_all(int device, const void *bytes, size_t length) {
    if (write(device, bytes, length) != (ssize_t)length) die("write");
}

// Sends a packet until it comes out of device `to`, behind a header of `header` bytes: the kernel needs a
// moment to notice that somebody reads there.
static void send_until(int from, const void *bytes, size_t length, int to, struct frame *out, size_t header,
                       const char *name) {
    struct packet *packet = &out->packet;
    struct pollfd ready = {to, POLLIN, 0};
    for (int try = 0; try < 50; try++) {
        send_all(from, bytes, length);
        while (poll(&ready, 1, 100) == 1) {
            ssize_t read_bytes = read(to, (char *)packet - header, header + sizeof *packet);
            if (read_bytes < (ssize_t)(header + sizeof *packet)) continue;
            if (packet->ip.protocol != IPPROTO_UDP) continue;
            if (packet->udp.uh_dport == htons(PORT) || packet->udp.uh_sport == htons(PORT)) return;
        }
    }
    fprintf(stderr, "packets: no packet came out of %s\n", name);
    exit(1);
}

static void drain(int device) {
    char bytes[2048];
    while (read(device, bytes, sizeof bytes) > 0) {}
}

// Prints the time of one packet, in the fastest of some bursts. With `port`, each packet begins a connection.
static void measure(int in, const void *bytes, size_t length, int lan, int out, uint16_t *port) {
    double least = 1e18;
    for (int burst = 0; burst < (port ? NEW_BURSTS : BURSTS); burst++) {
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (int i = 0; i < BURST; i++) {
            if (port) *port = htons(ntohs(*port) + 1);
            send_all(in, bytes, length);
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        double took = (end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec);
        if (took < least) least = took;
        drain(lan);
        drain(out);
    }
    printf("%.0f\n", least / BURST);
}

int main(int count, char **arguments) {
    struct ifreq lan_request, out_request;
    struct frame frame = {0}, left, came;
    struct packet *packet = &frame.packet, *answer = &left.packet;
    if (count != 6) return 2;
    int lan = open_device(arguments[1], IFF_TAP, &lan_request);
    int out = open_device(arguments[2], IFF_TUN, &out_request);
    if (ioctl(lan, SIOCGIFHWADDR, &lan_request) < 0) die(arguments[1]);
    memcpy(frame.ethernet.h_dest, lan_request.ifr_hwaddr.sa_data, ETH_ALEN);
    memcpy(frame.ethernet.h_source, ether_aton(arguments[3]), ETH_ALEN);
    frame.ethernet.h_proto = htons(ETH_P_IP);
    packet->ip = (struct iphdr){.ihl = 5, .version = 4, .ttl = 64, .protocol = IPPROTO_UDP};
    packet->ip.tot_len = htons(sizeof *packet);
    packet->ip.saddr = inet_addr(arguments[4]);
    packet->ip.daddr = inet_addr(arguments[5]);
    packet->ip.check = header_sum(&packet->ip);
    packet->udp = (struct udphdr){.uh_sport = htons(20000), .uh_dport = htons(PORT)};
    packet->udp.uh_ulen = htons(sizeof *packet - sizeof packet->ip);

    // The first packet shows the way, and its answer establishes the connection. A UDP packet over IPv4 may
    // go without a checksum (RFC 768), and the header's sum stays as it is when addresses change places.
    size_t length = ETH_HLEN + sizeof *packet;
    send_until(lan, &frame.ethernet, length, out, &left, 0, arguments[2]);
    uint32_t address = answer->ip.saddr;
    answer->ip.saddr = answer->ip.daddr;
    answer->ip.daddr = address;
    uint16_t port = answer->udp.uh_sport;
    answer->udp.uh_sport = answer->udp.uh_dport;
    answer->udp.uh_dport = port;
    send_until(out, answer, sizeof *answer, lan, &came, ETH_HLEN, arguments[1]);

    measure(lan, &frame.ethernet, length, lan, out, NULL);
    measure(out, answer, sizeof *answer, lan, out, NULL);
    measure(lan, &frame.ethernet, length, lan, out, &packet->udp.uh_sport);
    return 0;
}
