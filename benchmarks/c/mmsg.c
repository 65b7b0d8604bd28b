/* Frames from one interface to another by plain packet sockets: sendmmsg on one end, recvmmsg on the other, one thread.
 *
 *     mmsg SENDER RECEIVER OCTETS SECONDS BATCH
 *
 * Prints frames, seconds of processor time and seconds on the wall.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { MOST = 1024, ROOM = 2048 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int open_socket(const char *interface, unsigned short protocol)
{
    int descriptor = socket(AF_PACKET, SOCK_RAW, 0);
    if (descriptor < 0)
        fail("socket");
    int room = 64 << 20;
    setsockopt(descriptor, SOL_SOCKET, protocol ? SO_RCVBUFFORCE : SO_SNDBUFFORCE, &room, sizeof room);
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(protocol),
        .sll_ifindex = (int)if_nametoindex(interface),
    };
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address))
        fail("bind");
    return descriptor;
}

static void point(struct mmsghdr *messages, struct iovec *pieces, unsigned char *memory, size_t octets)
{
    for (int i = 0; i < MOST; i++) {
        pieces[i] = (struct iovec){ .iov_base = memory + (size_t)i * ROOM, .iov_len = octets };
        messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &pieces[i], .msg_iovlen = 1 } };
    }
}

int main(int count, char **arguments)
{
    if (count != 6) {
        fprintf(stderr, "usage: mmsg SENDER RECEIVER OCTETS SECONDS BATCH\n");
        return 2;
    }
    size_t octets = (size_t)atoi(arguments[3]);
    double limit = atof(arguments[4]);
    unsigned batch = (unsigned)atoi(arguments[5]);
    if (octets < 14 || octets > ROOM || batch < 1 || batch > MOST)
        return 2;
    int sender = open_socket(arguments[1], 0);
    int receiver = open_socket(arguments[2], ETH_P_ALL);

    static unsigned char out[MOST * ROOM], in[MOST * ROOM];
    static struct mmsghdr outgoing[MOST], incoming[MOST];
    static struct iovec out_pieces[MOST], in_pieces[MOST];
    for (int i = 0; i < MOST; i++) {
        memset(out + i * ROOM, 2, 12);
        out[i * ROOM + 12] = out[i * ROOM + 13] = 0x88;
    }
    point(outgoing, out_pieces, out, octets);
    point(incoming, in_pieces, in, ROOM);

    long frames = 0;
    double processor = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    while (seconds(CLOCK_MONOTONIC) - wall < limit) {
        int sent = sendmmsg(sender, outgoing, batch, 0);
        if (sent < 0 && errno != ENOBUFS)
            fail("sendmmsg");
        for (int left = sent; left > 0;) {
            int got = recvmmsg(receiver, incoming, (unsigned)left, MSG_DONTWAIT, NULL);
            if (got > 0) {
                left -= got;
                frames += got;
                continue;
            }
            struct pollfd wait = { .fd = receiver, .events = POLLIN };
            if (poll(&wait, 1, 1000) == 0) {
                fprintf(stderr, "%d frames were lost\n", left);
                return 1;
            }
        }
    }
    printf("%ld %.6f %.6f\n", frames, seconds(CLOCK_PROCESS_CPUTIME_ID) - processor, seconds(CLOCK_MONOTONIC) - wall);
    return 0;
}
