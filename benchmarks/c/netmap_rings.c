/* Two netmap rings in memory of this process, and a loop that moves frames from one to the other through a flat buffer:
 * what the driver does between a ring and a Burst, in plain C.  Nothing else: the tails are moved by hand.
 *
 *   netmap_rings OCTETS SECONDS SLOTS copy|pipe|swap
 *
 * copy: each slot's octets to the end of a buffer, with a column of ends; then from there into the slots of the other ring.
 * pipe: the same, and the slots that were sent are handed over to the first ring one by one, and back, as a pipe's kernel
 * side does.  swap: the buffers' indexes change places.  Prints frames, processor seconds and wall seconds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUFFER 2048

struct slot {
    uint32_t buffer;
    uint16_t length;
    uint16_t flags;
    uint64_t pointer;
};

struct ring {
    volatile uint32_t head, cur, tail;
    uint32_t slots;
    struct slot *slot;
};

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void copy_frame(unsigned char *to, const unsigned char *from, size_t length)
{
    if (length <= 64)
        memcpy(to, from, 64);
    else
        memcpy(to, from, length);
}

static uint32_t to_flat(struct ring *ring, const unsigned char *pool, uint32_t buffers, unsigned char *flat, uint64_t *ends)
{
    uint32_t count = 0, at = ring->head, tail = ring->tail;
    uint64_t end = 0;
    while (at != tail) {
        struct slot slot = ring->slot[at];
        if (slot.buffer >= 2 && slot.buffer < buffers && slot.length <= BUFFER) {
            copy_frame(flat + end, pool + (size_t)slot.buffer * BUFFER, slot.length);
            end += slot.length;
            ends[++count] = end;
        }
        at = at + 1 == ring->slots ? 0 : at + 1;
    }
    ring->head = ring->cur = at;
    return count;
}

static void from_flat(struct ring *ring, unsigned char *pool, const unsigned char *flat, const uint64_t *ends, uint32_t count)
{
    uint32_t at = ring->head;
    for (uint32_t index = 0; index < count && at != ring->tail; index++) {
        size_t length = ends[index + 1] - ends[index];
        copy_frame(pool + (size_t)ring->slot[at].buffer * BUFFER, flat + ends[index], length);
        ring->slot[at].length = (uint16_t)length;
        ring->slot[at].flags = 0;
        at = at + 1 == ring->slots ? 0 : at + 1;
    }
    ring->head = ring->cur = at;
}

static uint32_t swap(struct ring *from, struct ring *to)
{
    uint32_t count = 0, at = from->head, into = to->head;
    while (at != from->tail && into != to->tail) {
        struct slot *source = &from->slot[at], *target = &to->slot[into];
        uint32_t buffer = target->buffer;
        target->buffer = source->buffer;
        target->length = source->length;
        target->flags = source->flags = 1;
        source->buffer = buffer;
        at = at + 1 == from->slots ? 0 : at + 1;
        into = into + 1 == to->slots ? 0 : into + 1;
        count++;
    }
    from->head = from->cur = at;
    to->head = to->cur = into;
    return count;
}

static void hand_over(struct ring *from, struct ring *to)
{
    for (uint32_t at = 0; at < from->slots; at++)
        to->slot[at] = from->slot[at];
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    uint32_t octets = atoi(argv[1]), slots = atoi(argv[3]), buffers = 2 + 2 * slots;
    double seconds = atof(argv[2]);
    int pipe = !strcmp(argv[4], "pipe"), copies = pipe || !strcmp(argv[4], "copy");
    unsigned char *pool = malloc((size_t)buffers * BUFFER), *flat = malloc((size_t)slots * BUFFER + 64);
    uint64_t *ends = calloc(slots + 1, sizeof *ends);
    struct ring rings[2];
    if (!pool || !flat || !ends || octets > BUFFER || slots < 2)
        return 2;
    memset(pool, 1, (size_t)buffers * BUFFER);
    memset(flat, 1, (size_t)slots * BUFFER + 64);
    for (int which = 0; which < 2; which++) {
        rings[which] = (struct ring){0, 0, slots - 1, slots, calloc(slots, sizeof(struct slot))};
        if (!rings[which].slot)
            return 2;
        for (uint32_t index = 0; index < slots; index++)
            rings[which].slot[index] = (struct slot){2 + which * slots + index, octets, 0, 0};
    }
    double frames = 0, wall = now(CLOCK_MONOTONIC), processor = now(CLOCK_PROCESS_CPUTIME_ID);
    do {
        for (int turn = 0; turn < 16; turn++) {
            if (copies) {
                uint32_t count = to_flat(&rings[0], pool, buffers, flat, ends);
                from_flat(&rings[1], pool, flat, ends, count);
                frames += count;
                if (pipe) {
                    hand_over(&rings[1], &rings[0]);
                    hand_over(&rings[0], &rings[1]);
                }
            } else {
                frames += swap(&rings[0], &rings[1]);
            }
            for (int which = 0; which < 2; which++) /* all that was let go comes back at once */
                rings[which].tail = (rings[which].head + slots - 1) % slots;
        }
    } while (now(CLOCK_MONOTONIC) - wall < seconds);
    printf("%.0f %.6f %.6f\n", frames, now(CLOCK_PROCESS_CPUTIME_ID) - processor, now(CLOCK_MONOTONIC) - wall);
    return 0;
}
