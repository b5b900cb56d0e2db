/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The scoreboard: a slot for each worker and counters for all, in memory
 * that parent and workers share.
 *
 * Created by the parent before the first fork (stats_create), so that each
 * child inherits it; a process outside the pool (CGI, commands) has none, and
 * every function here then does nothing.  Slots have one
 * writer each, the worker; the parent clears a slot when it reaps.
 * Counters are relaxed atomics.
 *
 * A scoreboard that lies in a file (stats_create_file) can be looked at from
 * outside of the pool (stats_open), by the same version of the program.
 */
#ifndef ZIPSTREAM_STATS_H
#define ZIPSTREAM_STATS_H

#include <stdint.h>
#include <sys/types.h>

enum stats_state {
	SLOT_FREE,
	SLOT_STARTING,
	SLOT_IDLE,
	SLOT_READING, /* a request comes in */
	SLOT_BUSY,    /* a handler runs */
	SLOT_SENDING, /* a zip streams */
	SLOT_LEAVING
};

enum stats_counter {
	STAT_REQUESTS,
	STAT_STATUS_2XX,
	STAT_STATUS_3XX,
	STAT_STATUS_4XX,
	STAT_STATUS_5XX,
	STAT_BYTES_OUT,
	STAT_BYTES_IN, /* from sources */
	STAT_ZIPS_DONE,
	STAT_ZIPS_ABORTED,
	STAT_CLIENT_GONE,
	STAT_FILES,
	STAT_SOURCE_ERROR_STATUS,
	STAT_SOURCE_ERROR_CONNECT,
	STAT_SOURCE_ERROR_TIMEOUT,
	STAT_SOURCE_ERROR_CHANGED,
	STAT_SOURCE_ERROR_REFUSED, /* by our address rules */
	STAT_SOURCE_RETRIES,
	STAT_SOURCE_RESUMES,
	STAT_PROBES,
	STAT_SPAWNED,
	STAT_DIED,    /* killed or crashed */
	STAT_REFUSED, /* 503: all workers busy */
	STAT_COUNTER_COUNT
};

/* First-byte histogram: upper bounds in ms, last = INT64_MAX. */
#define STATS_BUCKETS 12

struct stats_slot {
	pid_t pid;
	int state;	  /* enum stats_state */
	int generation;	  /* of settings; SIGHUP adds one */
	int64_t since_ms; /* monotonic, when the state was entered */
	int64_t requests; /* served since it was born */
	int64_t bytes;	  /* of the running answer */
	int64_t total;	  /* of the running answer; -1 unknown */
	int64_t files_done;
	int64_t files_total;
	int64_t buffered; /* bytes read ahead for it */
	char request_id[40];
	char bundle_id[40]; /* "" when it is none */
};

/* Maps the scoreboard for `slots` workers; -1 when there is no memory. */
int stats_create(int slots);
/* The same in a new file, for its owner alone; -1 with errno. */
int stats_create_file(int slots, const char *path);
/* Another process's scoreboard, for reading only; -1: it is none of ours. */
int stats_open(const char *path);
/* Who created it, 0 nobody, and for how long it has been there. */
pid_t stats_owner(void);
int64_t stats_age_ms(void);
int stats_slots(void);
struct stats_slot *stats_slot(int i);
/* The parent, when it has reaped the worker of slot i: free again. */
void stats_clear(int i);

/* This process writes to slot i from now on; -1: to none. */
void stats_attach(int i);
void stats_state(enum stats_state s);
/* Which slot is attached, -1: none.  Slots are taken from the front: where
 * few workers live their numbers are small. */
int stats_place(void);
/* The attached slot, or NULL. */
struct stats_slot *stats_mine(void);

void stats_add(enum stats_counter c, int64_t n);
int64_t stats_get(enum stats_counter c);
void stats_first_byte(int64_t ms);
int64_t stats_first_byte_bucket(int i, int64_t *upper_ms);
int64_t stats_first_byte_sum_ms(void);

/* Answers by route (any small number below STATS_ROUTES) and status. */
#define STATS_ROUTES 32
#define STATS_STATUSES 24
void stats_answer(int route, int status);
/* The count of the i-th status, which *status then is; 0: all others. */
int64_t stats_answers(int route, int i, int *status);

/* Idle workers now: kept by stats_state, read by the parent. */
int stats_idle(void);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t stats_now_ms(void);

#endif
