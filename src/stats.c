/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The scoreboard: slots and counters in one shared mapping.
 *
 * Which workers are idle is also kept as one byte a slot, side by side: the
 * parent counts them on every event, and a count kept by adding and taking
 * away would drift whenever a worker is killed in between.
 */
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BOARD_MAGIC UINT64_C(0x64726f6270697a31) /* "1zipbord" */

struct board {
	uint64_t magic;
	uint64_t shape; /* another layout is another program's */
	int slots;
	pid_t owner;
	int64_t born_ms;
	_Atomic int64_t counters[STAT_COUNTER_COUNT];
	_Atomic int64_t first_byte[STATS_BUCKETS];
	_Atomic int64_t first_byte_sum_ms;
	_Atomic int64_t answers[STATS_ROUTES][STATS_STATUSES];
	struct stats_slot slot[];
};

/* What our own answers can be; the last place counts all others. */
static const int statuses[STATS_STATUSES] = {
	200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 406,
	409, 412, 413, 415, 416, 429, 499, 500, 502, 503, 504, 0,
};

static const int64_t bucket_upper_ms[STATS_BUCKETS] = {
	5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, INT64_MAX,
};

static struct board *board;
static _Atomic unsigned char *idle; /* behind the last slot */
static size_t board_size;
static int mine = -1;

static size_t
flags_offset(int slots)
{
	return offsetof(struct board, slot) +
	       (size_t)slots * sizeof(struct stats_slot);
}

static size_t
size_of(int slots)
{
	return flags_offset(slots) + (size_t)slots;
}

static uint64_t
shape(void)
{
	return sizeof(struct board) << 32 | sizeof(struct stats_slot) << 16 |
	       STAT_COUNTER_COUNT;
}

static void
adopt(void *p, size_t size, int slots)
{
	if (board != NULL)
		munmap(board, board_size);
	board = p;
	board_size = size;
	idle = (_Atomic unsigned char *)((char *)p + flags_offset(slots));
	mine = -1;
}

/* A new scoreboard in `fd`, -1: in memory alone. */
static int
create(int slots, int fd)
{
	int flags = MAP_SHARED | (fd == -1 ? MAP_ANONYMOUS : 0);
	void *p;

	if (slots < 0)
		return -1;
	p = mmap(NULL, size_of(slots), PROT_READ | PROT_WRITE, flags, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	adopt(p, size_of(slots), slots);
	board->shape = shape();
	board->slots = slots;
	board->owner = getpid();
	board->born_ms = stats_now_ms();
	board->magic = BOARD_MAGIC;
	return 0;
}

int
stats_create(int slots)
{
	return create(slots, -1);
}

int
stats_create_file(int slots, const char *path)
{
	int fd, rc = -1, saved;

	if (slots < 0 || (unlink(path) == -1 && errno != ENOENT))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	/* Allocated, so that a full disk shows here and not as SIGBUS. */
	saved = posix_fallocate(fd, 0, (off_t)size_of(slots));
	if (saved == 0) {
		rc = create(slots, fd);
		saved = errno;
	}
	close(fd);
	if (rc == -1)
		unlink(path);
	errno = saved;
	return rc;
}

int
stats_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct board head;
	struct stat st;
	void *p = MAP_FAILED;

	if (fd == -1)
		return -1;
	if (read(fd, &head, sizeof(head)) == sizeof(head) &&
	    head.magic == BOARD_MAGIC && head.shape == shape() &&
	    fstat(fd, &st) == 0 && head.slots >= 0 &&
	    st.st_size == (off_t)size_of(head.slots))
		p = mmap(NULL, size_of(head.slots), PROT_READ, MAP_SHARED, fd,
			 0);
	close(fd);
	if (p == MAP_FAILED)
		return -1;
	adopt(p, size_of(head.slots), head.slots);
	return 0;
}

pid_t
stats_owner(void)
{
	return board != NULL ? board->owner : 0;
}

int64_t
stats_age_ms(void)
{
	return board != NULL ? stats_now_ms() - board->born_ms : 0;
}

int
stats_slots(void)
{
	return board != NULL ? board->slots : 0;
}

struct stats_slot *
stats_slot(int i)
{
	if (i < 0 || i >= stats_slots())
		return NULL;
	return &board->slot[i];
}

static void
enter(int i, enum stats_state s)
{
	board->slot[i].state = s;
	board->slot[i].since_ms = stats_now_ms();
	atomic_store_explicit(&idle[i], s == SLOT_IDLE, memory_order_relaxed);
}

void
stats_clear(int i)
{
	struct stats_slot *slot = stats_slot(i);

	if (slot == NULL)
		return;
	memset(slot, 0, sizeof(*slot));
	enter(i, SLOT_FREE);
}

void
stats_attach(int i)
{
	mine = stats_slot(i) != NULL ? i : -1;
}

void
stats_state(enum stats_state s)
{
	if (stats_mine() != NULL)
		enter(mine, s);
}

int
stats_place(void)
{
	return mine;
}

struct stats_slot *
stats_mine(void)
{
	return stats_slot(mine);
}

void
stats_add(enum stats_counter c, int64_t n)
{
	if (board != NULL && c < STAT_COUNTER_COUNT)
		atomic_fetch_add_explicit(&board->counters[c], n,
					  memory_order_relaxed);
}

int64_t
stats_get(enum stats_counter c)
{
	if (board == NULL || c >= STAT_COUNTER_COUNT)
		return 0;
	return atomic_load_explicit(&board->counters[c], memory_order_relaxed);
}

void
stats_first_byte(int64_t ms)
{
	int i = 0;

	if (board == NULL)
		return;
	while (ms > bucket_upper_ms[i])
		i++;
	atomic_fetch_add_explicit(&board->first_byte[i], 1,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&board->first_byte_sum_ms, ms,
				  memory_order_relaxed);
}

int64_t
stats_first_byte_bucket(int i, int64_t *upper_ms)
{
	if (i < 0 || i >= STATS_BUCKETS)
		return 0;
	if (upper_ms != NULL)
		*upper_ms = bucket_upper_ms[i];
	if (board == NULL)
		return 0;
	return atomic_load_explicit(&board->first_byte[i],
				    memory_order_relaxed);
}

int64_t
stats_first_byte_sum_ms(void)
{
	if (board == NULL)
		return 0;
	return atomic_load_explicit(&board->first_byte_sum_ms,
				    memory_order_relaxed);
}

void
stats_answer(int route, int status)
{
	int i = 0;

	if (board == NULL || route < 0 || route >= STATS_ROUTES)
		return;
	while (i < STATS_STATUSES - 1 && statuses[i] != status)
		i++;
	atomic_fetch_add_explicit(&board->answers[route][i], 1,
				  memory_order_relaxed);
}

int64_t
stats_answers(int route, int i, int *status)
{
	if (route < 0 || route >= STATS_ROUTES || i < 0 || i >= STATS_STATUSES)
		return 0;
	*status = statuses[i];
	if (board == NULL)
		return 0;
	return atomic_load_explicit(&board->answers[route][i],
				    memory_order_relaxed);
}

int
stats_idle(void)
{
	int n = 0;

	for (int i = 0; i < stats_slots(); i++)
		n += atomic_load_explicit(&idle[i], memory_order_relaxed);
	return n;
}

int64_t
stats_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
