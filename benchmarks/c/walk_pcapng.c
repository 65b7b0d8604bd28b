/* A walk over the enhanced packet blocks of a pcapng file in memory, as plain as C has it.
 *
 *     walk_pcapng FILE SECONDS [copy]
 *
 * The file is mapped and touched before the clock starts.  Each walk checks every block against the file's end, sums
 * the lengths and time stamps, and with "copy" also copies every frame into a ring of 4 MB.  One section in this
 * machine's byte order is enough for it; interfaces are not looked at.  Walks until SECONDS have passed, at least five
 * times.  Prints frames, and seconds of the median walk: of processor time, and on the wall.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RING = 4 << 20, LEAST = 5, MOST = 1000, SECTION = 0x0A0D0D0A, MAGIC = 0x1A2B3C4D, ENHANCED = 6 };

struct sums {
    uint64_t frames, octets, ticks;
};

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

static uint32_t word(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Returns how far it came; less than `size` where a block contradicts itself. */
static size_t walk(const unsigned char *file, size_t size, unsigned char *ring, struct sums *sums)
{
    size_t at = 0, put = 0;
    while (size - at >= 12) {
        const unsigned char *block = file + at;
        size_t total = word(block + 4);
        if (total < 12 || total % 4 || total > size - at || word(block + total - 4) != total)
            break;
        if (word(block) == ENHANCED) {
            if (total < 32)
                break;
            size_t captured = word(block + 20);
            if (captured > total - 32)
                break;
            sums->frames++;
            sums->octets += captured;
            sums->ticks += (uint64_t)word(block + 12) << 32 | word(block + 16);
            if (ring) {
                if (captured > RING)
                    break;
                if (captured > RING - put)
                    put = 0;
                memcpy(ring + put, block + 28, captured);
                put += captured;
            }
        }
        at += total;
    }
    return at;
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

int main(int count, char **arguments)
{
    if (count < 3 || (count > 3 && strcmp(arguments[3], "copy"))) {
        fprintf(stderr, "walk_pcapng FILE SECONDS [copy]\n");
        return 2;
    }
    int descriptor = open(arguments[1], O_RDONLY);
    struct stat about;
    if (descriptor < 0 || fstat(descriptor, &about))
        fail(arguments[1]);
    size_t size = (size_t)about.st_size;
    const unsigned char *file = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
    if (file == MAP_FAILED)
        fail("mmap");
    if (size < 28 || word(file) != SECTION || word(file + 8) != MAGIC) {
        fprintf(stderr, "not a pcapng file in this machine's byte order\n");
        return 1;
    }
    static unsigned char room[RING];
    unsigned char *ring = count > 3 ? memset(room, 1, RING) : NULL;
    static double processor[MOST], wall[MOST];
    struct sums first = { 0, 0, 0 };
    size_t far = walk(file, size, ring, &first); /* warms the cache; not measured */
    if (far != size) {
        fprintf(stderr, "octet %zu: a block that contradicts itself\n", far);
        return 1;
    }
    int walks = 0;
    double begun = seconds(CLOCK_MONOTONIC), limit = strtod(arguments[2], NULL);
    while (walks < LEAST || (walks < MOST && seconds(CLOCK_MONOTONIC) - begun < limit)) {
        struct sums sums = { 0, 0, 0 };
        double on_wall = seconds(CLOCK_MONOTONIC), before = seconds(CLOCK_PROCESS_CPUTIME_ID);
        far = walk(file, size, ring, &sums);
        processor[walks] = seconds(CLOCK_PROCESS_CPUTIME_ID) - before;
        wall[walks++] = seconds(CLOCK_MONOTONIC) - on_wall;
        if (far != size || memcmp(&sums, &first, sizeof sums)) { /* also keeps the sums from being optimised away */
            fprintf(stderr, "two walks differ\n");
            return 1;
        }
    }
    qsort(processor, (size_t)walks, sizeof *processor, compare);
    qsort(wall, (size_t)walks, sizeof *wall, compare);
    printf("%llu %.9f %.9f\n", (unsigned long long)first.frames, processor[walks / 2], wall[walks / 2]);
    return 0;
}
