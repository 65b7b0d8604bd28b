/* An ordinary netmap program in C: both ends of a pipe of /dev/netmap in one process, frames copied from the receive ring
 * into a flat buffer with a column of ends, and from there back into the transmit ring.
 *
 *   netmap_pipe OCTETS SECONDS SLOTS BURST copy|sync
 *
 * copy: what the driver does between a ring and a Burst, with the same checks: head and cur as we left them, the tail
 * legal, each descriptor copied once, its buffer and length inside the region.  sync: the same system calls and moves of
 * head and cur, but slots and buffers are not touched: what the kernel side costs.  Either way bursts of BURST frames
 * go once through the pipe, and the reader gives slots back with its next sync.  Prints frames, processor seconds and wall seconds.
 *
 * Structures and numbers are those of netmap's interface, version 14.  On the simulated kernel side it runs under
 * `netmap-io run`.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define CONTROL 0xC0586997ul
#define TRANSMIT_SYNC 0x6994ul
#define RECEIVE_SYNC 0x6995ul

enum { VERSION = 14, REGISTER = 1, ALL_HARDWARE_RINGS = 1, MORE_FRAGMENTS = 0x20, SHORT = 64, FIRST_BUFFER = 2 };

struct header {
    uint16_t version, request;
    uint32_t reserved;
    char name[64];
    uint64_t options, body;
};

struct registration {
    uint64_t offset, memory;
    uint32_t transmit_slots, receive_slots;
    uint16_t transmit_rings, receive_rings, host_transmit_rings, host_receive_rings, memory_id, ring;
    uint32_t mode, extra_buffers, padding;
    uint64_t flags;
};

struct ring {
    int64_t buffers; /* from here */
    uint32_t slots, buffer_octets;
    uint16_t number, direction;
    volatile uint32_t head, cur, tail;
    uint32_t flags;
};

struct side {
    int descriptor;
    unsigned char *memory;
    size_t octets;
    struct ring *ring;
    volatile uint64_t *slot; /* two words each: buffer, length, flags; pointer */
    size_t first;            /* of the buffers, in the memory */
    uint32_t slots, buffer_octets, buffers;
    uint32_t synced, head, tail; /* ours: what the memory says is checked against them */
};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void open_side(struct side *side, const char *name, uint32_t slots, int sends)
{
    struct registration body = { .mode = ALL_HARDWARE_RINGS, .transmit_slots = slots, .receive_slots = slots };
    struct header header = { .version = VERSION, .request = REGISTER, .body = (uint64_t)(uintptr_t)&body };
    strncpy(header.name, name, sizeof header.name - 1);
    side->descriptor = open("/dev/netmap", O_RDWR);
    if (side->descriptor < 0)
        fail("/dev/netmap");
    if (ioctl(side->descriptor, CONTROL, &header))
        fail("register");
    side->octets = body.memory;
    side->memory = mmap(NULL, body.memory, PROT_READ | PROT_WRITE, MAP_SHARED, side->descriptor, 0);
    if (side->memory == MAP_FAILED)
        fail("mmap");
    unsigned char *interface = side->memory + body.offset;
    const int64_t *rings = (const int64_t *)(interface + 56); /* transmit rings, the host's too, then receive rings */
    const uint32_t *counts = (const uint32_t *)interface;
    unsigned before = sends ? 0 : counts[6] + counts[9];
    side->ring = (struct ring *)(interface + rings[before]);
    side->slot = (volatile uint64_t *)((unsigned char *)side->ring + 256);
    side->slots = side->ring->slots;
    side->buffer_octets = side->ring->buffer_octets;
    side->first = (size_t)((unsigned char *)side->ring - side->memory) + (size_t)side->ring->buffers;
    side->buffers = (uint32_t)((side->octets - side->first) / side->buffer_octets);
    side->synced = side->head = side->ring->head;
    side->tail = side->ring->tail;
    if (side->buffer_octets < SHORT)
        fail("short buffers");
}

static uint32_t distance(const struct side *side, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + side->slots - from;
}

static void sync_side(struct side *side, unsigned long which)
{
    struct ring *ring = side->ring;
    if (ring->head != side->synced || ring->cur != side->synced) {
        fprintf(stderr, "somebody else moved the ring\n");
        exit(1);
    }
    ring->cur = side->head;
    ring->head = side->head;
    side->synced = side->head;
    if (ioctl(side->descriptor, which, NULL))
        fail("sync");
    uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    if (tail >= side->slots || distance(side, side->head, tail) < distance(side, side->head, side->tail)) {
        fprintf(stderr, "a tail that cannot be\n");
        exit(1);
    }
    side->tail = tail;
}

/* Where the octets of a slot are; NULL: not in a buffer. */
static inline unsigned char *place(const struct side *side, uint32_t buffer, uint32_t length)
{
    if (buffer < FIRST_BUFFER || buffer >= side->buffers || length > side->buffer_octets)
        return NULL;
    return side->memory + side->first + (size_t)buffer * side->buffer_octets;
}

static inline void copy_frame(unsigned char *to, const unsigned char *from, size_t length)
{
    if (length <= SHORT)
        memcpy(to, from, SHORT);
    else
        memcpy(to, from, length);
}

static uint32_t to_flat(struct side *side, unsigned char *restrict flat, uint64_t *restrict ends)
{
    const struct side here = *side; /* a copy of its own: octets that are written cannot change it */
    uint32_t count = 0, at = here.head;
    uint64_t end = 0;
    while (at != here.tail) {
        uint64_t word = here.slot[2 * at];
        uint32_t length = (uint16_t)(word >> 32);
        const unsigned char *octets = place(&here, (uint32_t)word, length);
        if (octets && !(word >> 48 & MORE_FRAGMENTS)) {
            copy_frame(flat + end, octets, length);
            end += length;
            ends[++count] = end;
        }
        at = at + 1 == here.slots ? 0 : at + 1;
    }
    side->head = at;
    return count;
}

static uint32_t from_flat(struct side *side, const unsigned char *flat, const uint64_t *ends, uint32_t count)
{
    const struct side here = *side;
    uint32_t at = here.head, index = 0;
    for (; index < count && at != here.tail; index++) {
        uint32_t buffer = (uint32_t)here.slot[2 * at], length = (uint32_t)(ends[index + 1] - ends[index]);
        unsigned char *octets = place(&here, buffer, length);
        if (!octets) {
            fprintf(stderr, "slot %u has lost its buffer\n", at);
            exit(1);
        }
        copy_frame(octets, flat + ends[index], length);
        here.slot[2 * at] = buffer | (uint64_t)length << 32;
        at = at + 1 == here.slots ? 0 : at + 1;
    }
    side->head = at;
    return index;
}

static uint32_t room(const struct side *side)
{
    return distance(side, side->head, side->tail);
}

static uint32_t pass(struct side *side, uint32_t count)
{
    side->head = (side->head + count) % side->slots;
    return count;
}

int main(int count, char **arguments)
{
    if (count != 6) {
        fprintf(stderr, "usage: netmap_pipe OCTETS SECONDS SLOTS BURST copy|sync\n");
        return 2;
    }
    uint32_t octets = (uint32_t)atoi(arguments[1]), slots = (uint32_t)atoi(arguments[3]);
    uint32_t frames = (uint32_t)atoi(arguments[4]);
    double limit = atof(arguments[2]), passed = 0;
    int copies = !strcmp(arguments[5], "copy");
    struct side near, far;
    open_side(&near, "beside{1", slots, 1);
    open_side(&far, "beside}1", slots, 0);
    unsigned char *flat = malloc((size_t)slots * near.buffer_octets + SHORT);
    uint64_t *ends = calloc(slots, sizeof *ends);
    if (!flat || !ends || near.slots != slots || far.slots != slots || octets > near.buffer_octets || octets < 14 ||
        frames < 1 || frames > (slots - 1) / 2)
        return 2;
    memset(flat, 'x', (size_t)slots * near.buffer_octets + SHORT);
    for (uint32_t index = 0; index < frames; index++)
        ends[index + 1] = ends[index] + octets;
    double wall = now(CLOCK_MONOTONIC), processor = now(CLOCK_PROCESS_CPUTIME_ID);
    do {
        for (int turn = 0; turn < 16; turn++) {
            if (room(&near) < frames)
                sync_side(&near, TRANSMIT_SYNC);
            uint32_t sent = copies ? from_flat(&near, flat, ends, frames) : pass(&near, frames);
            sync_side(&near, TRANSMIT_SYNC);
            sync_side(&far, RECEIVE_SYNC);
            uint32_t came = copies ? to_flat(&far, flat, ends) : pass(&far, room(&far));
            if (sent != frames || came != frames) {
                fprintf(stderr, "%u sent, %u came\n", sent, came);
                return 1;
            }
            passed += came;
        }
    } while (now(CLOCK_MONOTONIC) - wall < limit);
    printf("%.0f %.6f %.6f\n", passed, now(CLOCK_PROCESS_CPUTIME_ID) - processor, now(CLOCK_MONOTONIC) - wall);
    return 0;
}
