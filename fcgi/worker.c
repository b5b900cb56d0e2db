/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The accept loop of a worker, and of the process that refuses for all.
 *
 * Waiting is epoll's, not poll's or accept's: EPOLLEXCLUSIVE wakes one
 * waiter for one connection on any of the sockets, and epoll_pwait lets
 * signals in only then, so that no read or write is ever interrupted.
 */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "confine.h"
#include "gateway.h"

#define LOG_MODULE "worker"
#include "log.h"
#include "stats.h"

#define REFUSER_QUIET_MS 1000 /* nobody to refuse for so long: it leaves */
#define REFUSER_TICK_MS 50

enum leave { STAY, RETIRE, DRAIN };

struct worker {
	const struct worker_setup *setup;
	struct service *service;
	struct gateway *gateway;
	int epoll;
	sigset_t open; /* the signal mask while waiting */
	bool looked;   /* the last look before leaving has been taken */
	int64_t served;
	int64_t limit; /* 0: none */
};

static volatile sig_atomic_t leaving;

static void
on_drain(int sig)
{
	(void)sig;
	leaving = DRAIN;
}

static void
on_retire(int sig)
{
	(void)sig;
	if (leaving == STAY)
		leaving = RETIRE;
}

static void
on_quit(int sig)
{
	(void)sig;
	gateway_cut_and_exit();
}

static void
handle(int sig, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };

	sigfillset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

/* In a pool SIGHUP is the parent's to act upon. */
static void
set_signals(struct worker *w)
{
	static const int held[] = { SIGTERM, SIGINT, SIGUSR1, SIGHUP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
		sigaddset(&set, held[i]);
	handle(SIGPIPE, SIG_IGN);
	handle(SIGCHLD, SIG_DFL);
	handle(SIGTERM, on_drain);
	handle(SIGINT, on_drain);
	handle(SIGUSR1, on_retire);
	handle(SIGHUP, w->setup->board != NULL ? SIG_IGN : on_retire);
	handle(SIGQUIT, on_quit);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigemptyset(&w->open);
}

/* A worker of a pool follows its parent.  After the change of user, which
 * clears the request. */
static void
follow_parent(const struct worker_setup *setup)
{
	if (setup->parent == 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != setup->parent)
		leaving = DRAIN;
}

static int
open_epoll(const struct listeners *l, uint32_t exclusive)
{
	struct epoll_event ev = { .events = EPOLLIN | exclusive };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	for (int i = 0; fd != -1 && i < l->count; i++) {
		if (epoll_ctl(fd, EPOLL_CTL_ADD, l->at[i].fd, &ev) == -1) {
			close(fd);
			return -1;
		}
	}
	return fd;
}

/* A connection wakes one of those that wait for it exclusively. */
static int
worker_open(struct worker *w, const struct worker_setup *setup,
	    uint32_t exclusive)
{
	const struct config *c = setup->config;
	struct error e = { 0 };

	w->setup = setup;
	w->epoll = -1;
	set_signals(w);
	if (confine_process(c, &e) == -1)
		goto fail;
	follow_parent(setup);
	w->service = service_new(c, &e);
	if (w->service == NULL)
		goto fail;
	w->gateway = gateway_new(c, setup->path);
	w->epoll = open_epoll(setup->listeners, exclusive);
	if (w->gateway == NULL || w->epoll == -1) {
		error_set(&e, ERROR_INTERNAL, "Cannot wait for connections");
		goto fail;
	}
	gateway_keep(w->gateway, setup->keeper_fd, setup->slot);
	/* Workers born together should not be replaced together. */
	w->limit = c->max_requests -
		   (int64_t)getpid() % (c->max_requests / 10 + 1);
	return 0;
fail:
	log_error("cannot start: %s (%s)", e.text, e.cause);
	return -1;
}

static void
worker_close(struct worker *w)
{
	if (w->epoll != -1)
		close(w->epoll);
	gateway_free(w->gateway);
	service_free(w->service);
}

/* Lets in a signal that came while a request was served. */
static void
take_signals(const struct worker *w)
{
	sigset_t held;

	sigprocmask(SIG_SETMASK, &w->open, &held);
	sigprocmask(SIG_SETMASK, &held, NULL);
}

/*
 * A connection to answer on the way out, -1 when it is time to go.  The one
 * look at every socket takes the connection that this process alone may have
 * been woken for.  Sockets of our own are emptied when the pool drains:
 * nobody comes after us, and nobody new can connect.
 */
static int
last_connection(struct worker *w)
{
	bool again = w->looked;

	w->looked = true;
	if (again && leaving != DRAIN)
		return -1;
	return listeners_accept(w->setup->listeners, again);
}

/* The next connection; -1: leave. */
static int
next_connection(struct worker *w)
{
	struct epoll_event ev;
	int fd;

	if (w->limit > 0 && w->served >= w->limit)
		return -1;
	for (;;) {
		take_signals(w);
		if (leaving != STAY)
			return last_connection(w);
		fd = listeners_accept(w->setup->listeners, false);
		if (fd != -1)
			return fd;
		epoll_pwait(w->epoll, &ev, 1, -1, &w->open);
	}
}

/* Says that one idle worker less is there. */
static void
tell_parent(const struct worker_setup *setup)
{
	struct worker_board *b = setup->board;

	if (b == NULL)
		return;
	atomic_fetch_add(&b->accepted, 1);
	/* A full pipe has woken the parent already. */
	if (atomic_load(&b->hungry) &&
	    stats_idle() < setup->config->min_spare_workers &&
	    write(setup->wake_fd, "", 1) == -1 && errno != EAGAIN)
		log_warn("cannot wake the parent: %s", strerror(errno));
}

static void
serve(struct worker *w, int fd, inbound_answer_fn answer)
{
	struct inbound *in = gateway_open(w->gateway, fd, w->service->arena);

	if (in != NULL) {
		inbound_answer(in, w->service, answer);
		gateway_close(w->gateway);
	}
	arena_reset(w->service->arena);
}

static void
enter_scoreboard(const struct worker_setup *setup)
{
	struct stats_slot *slot;

	stats_attach(setup->slot);
	slot = stats_mine();
	if (slot == NULL)
		return;
	slot->pid = getpid();
	slot->generation = setup->generation;
	stats_state(SLOT_STARTING);
}

/* Clears what the scoreboard says of the running answer. */
static void
become_idle(void)
{
	struct stats_slot *slot = stats_mine();

	if (slot != NULL) {
		slot->bytes = 0;
		slot->total = -1;
		slot->files_done = 0;
		slot->files_total = 0;
		slot->request_id[0] = '\0';
		slot->bundle_id[0] = '\0';
	}
	stats_state(SLOT_IDLE);
}

int
worker_run(const struct worker_setup *setup)
{
	struct worker w = { 0 };
	int fd, rc;

	enter_scoreboard(setup);
	rc = worker_open(&w, setup, EPOLLEXCLUSIVE);
	if (rc == 0) {
		become_idle();
		if (setup->board != NULL)
			atomic_fetch_add(&setup->board->ready, 1);
	}
	while (rc == 0 && (fd = next_connection(&w)) != -1) {
		stats_state(SLOT_READING);
		tell_parent(setup);
		if (stats_mine() != NULL)
			stats_mine()->requests++;
		serve(&w, fd, service_handle);
		w.served++;
		become_idle();
	}
	if (rc == 0) /* else the parent reads that it never was ready */
		stats_state(SLOT_LEAVING);
	worker_close(&w);
	return rc == 0 ? 0 : 1;
}

int
worker_refuse(const struct worker_setup *setup)
{
	struct worker w = { 0 };
	int64_t quiet_since = stats_now_ms();
	struct epoll_event ev;
	/* Woken besides a worker, never instead of one that is idle: it leaves
	 * without a look at what it was woken for. */
	int fd, rc = worker_open(&w, setup, 0);

	while (rc == 0 && leaving == STAY &&
	       stats_now_ms() - quiet_since < REFUSER_QUIET_MS) {
		epoll_pwait(w.epoll, &ev, 1, REFUSER_TICK_MS, &w.open);
		take_signals(&w);
		if (stats_idle() > 0)
			break;
		fd = listeners_accept(setup->listeners, false);
		if (fd == -1)
			continue;
		stats_add(STAT_REFUSED, 1);
		serve(&w, fd, service_refuse);
		quiet_since = stats_now_ms();
	}
	worker_close(&w);
	return rc == 0 ? 0 : 1;
}
