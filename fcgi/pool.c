/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The supervisor's loop: wait, take signals, reap, then do what is due.
 *
 * A worker that turns busy while few are idle writes a byte to the wake
 * pipe; the loop then forks as many as connections wait.  Where the most are
 * running, or none can be forked, and connections have waited for BUSY_WAIT,
 * one child is forked that answers 503 until a worker is idle again.
 */
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin.h"
#include "children.h"
#include "confine.h"
#include "heap.h"
#include "keeper.h"
#include "notify.h"
#include "scoreboard.h"
#include "service.h"
#include "sizing.h"

#define LOG_MODULE "pool"
#include "log.h"
#include "stats.h"

#define TICK_MS 1000
#define STARVED_TICK_MS 50    /* every worker is busy */
#define SHRINK_MS 5000	      /* idle for so long: some may go */
#define HANG_UP_MS 250	      /* drain: idle workers empty the TCP queues */
#define CUT_MS 60000	      /* "now", but slow clients: then SIGKILL */
#define KEEPER_MS 1000	      /* from one keeper to the next */
#define REPORT_MS (5 * 60000) /* a line of numbers */

enum phase { RUNNING, DRAINING, CUTTING };

struct pool {
	const struct pool_options *options;
	struct config *config;
	struct worker_board *board;
	struct children children;
	int signals; /* signalfd */
	int wake[2];
	enum phase phase;
	int64_t phase_ms; /* when it was entered */
	bool reload;	  /* asked for */
	int generation;
	int current; /* workers of this generation */
	int64_t forked;
	int64_t unready; /* died before they were idle once */
	struct keeper keeper;
	pid_t keeping;	 /* 0: none */
	int64_t keep_ms; /* when it was forked */
	pid_t refuser;	 /* 0: none, as the next */
	pid_t purger;
	struct sizing_wait wait;
	int idle_low; /* since shrink_ms */
	int64_t shrink_ms;
	int64_t purge_ms;
	int64_t report_ms;
	int64_t reported;   /* requests, when the last line was written */
	int fails;	    /* failed starts in a row */
	int64_t fail_ready; /* board->ready at the last of them */
	int64_t fork_ms;    /* no fork before */
	bool growing;	    /* more are wanted than were forked in one go */
};

static void
enter_phase(struct pool *p, enum phase phase)
{
	p->phase = phase;
	p->phase_ms = stats_now_ms();
}

/* The number of workers that may run at once, reloaded settings included. */
static int
most_workers(const struct pool *p)
{
	int slots = p->children.slots;

	if (p->options->workers > 0 || p->config->max_workers > slots)
		return slots;
	return (int)p->config->max_workers;
}

/* Births. */

static void
forbid_forks(struct pool *p)
{
	int64_t ready = atomic_load(&p->board->ready);

	p->fails = ready == p->fail_ready ? p->fails + 1 : 1;
	p->fail_ready = ready;
	p->fork_ms = stats_now_ms() + sizing_backoff_ms(p->fails);
	log_warn("no new worker for %lld ms",
		 (long long)sizing_backoff_ms(p->fails));
}

static bool
may_fork(const struct pool *p, int64_t now)
{
	return now >= p->fork_ms;
}

/* Forks a child that has nothing of the parent's but memory and sockets. */
static pid_t
fork_child(struct pool *p)
{
	pid_t pid = fork();

	if (pid == 0) {
		close(p->signals);
		close(p->wake[0]);
		close(p->keeper.told);
	} else if (pid == -1) {
		log_error("cannot fork: %s", strerror(errno));
		forbid_forks(p);
	}
	return pid;
}

/* Ends a worker without the exit handlers of forty libraries: all they would
 * do is to make copies of what it shares with us. */
static _Noreturn void
leave(int code)
{
#ifdef INSTRUMENTED /* exit writes down coverage and looks for leaks */
	exit(code);
#endif
	_exit(code);
}

static struct worker_setup
setup_of(const struct pool *p, int slot, pid_t parent)
{
	return (struct worker_setup){
		.config = p->config,
		.listeners = p->options->listeners,
		.path = p->options->path,
		.board = p->board,
		.wake_fd = p->wake[1],
		.keeper_fd = p->keeper.tell,
		.slot = slot,
		.generation = p->generation,
		.parent = parent,
	};
}

static void
fork_worker(struct pool *p, pid_t parent)
{
	struct worker_setup setup =
		setup_of(p, children_next(&p->children), parent);
	pid_t pid = fork_child(p);

	if (pid == 0)
		leave(worker_run(&setup));
	if (pid == -1)
		return;
	children_add(&p->children, pid, p->generation);
	p->forked++;
	p->current++;
	stats_add(STAT_SPAWNED, 1);
}

static void
fork_refuser(struct pool *p)
{
	struct worker_setup setup = setup_of(p, -1, getpid());
	pid_t pid = fork_child(p);

	if (pid == 0)
		leave(worker_refuse(&setup));
	if (pid == -1)
		return;
	p->refuser = pid;
	p->wait.since_ms = 0;
	log_warn("all %d workers are busy: answering 503", p->children.live);
}

static void
fork_keeper(struct pool *p, int64_t now)
{
	pid_t pid;

	if (p->keeping > 0 || (p->keep_ms > 0 && now - p->keep_ms < KEEPER_MS))
		return;
	p->keep_ms = now;
	pid = fork();
	if (pid == 0)
		leave(keeper_run(&p->keeper, p->config));
	if (pid == -1)
		log_error("cannot fork: %s", strerror(errno));
	p->keeping = pid > 0 ? pid : 0;
}

/* Confined like a worker, which talks to the same store. */
static int
run_purger(const struct config *c)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	struct error e = { 0 };
	sigset_t none;

	sigemptyset(&none);
	sigaction(SIGTERM, &sa, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (confine_process(c, &e) == 0)
		return admin_purge(c);
	log_error("cannot purge: %s%s%s", e.text, e.cause[0] ? ": " : "",
		  e.cause);
	return 1;
}

static void
fork_purger(struct pool *p)
{
	pid_t pid = fork_child(p);

	if (pid == 0)
		exit(run_purger(p->config));
	if (pid > 0)
		p->purger = pid;
}

/* Deaths. */

static void
bury_worker(struct pool *p, int slot, int status)
{
	struct child *child = &p->children.at[slot];
	struct stats_slot *s = stats_slot(slot);
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	bool unready = s->state == SLOT_FREE || s->state == SLOT_STARTING;

	if (unready)
		p->unready++;
	if (!well) {
		stats_add(STAT_DIED, 1);
		/* What a worker has written need not end. */
		log_error("worker %d died: %s %d%s%.*s", (int)child->pid,
			  WIFSIGNALED(status) ? "signal" : "exit code",
			  WIFSIGNALED(status) ? WTERMSIG(status)
					      : WEXITSTATUS(status),
			  s->request_id[0] ? ", request " : "",
			  (int)sizeof(s->request_id), s->request_id);
		/* A crash by a request is paid for by that request; one that
		 * comes before the first would go on for ever. */
		if (unready)
			forbid_forks(p);
	}
	if (p->keeping > 0)
		keeper_bury(p->keeper.tell, slot);
	if (child->generation == p->generation)
		p->current--;
	stats_clear(slot);
	children_remove(&p->children, slot);
}

static void
reap(struct pool *p)
{
	int status, slot;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		slot = children_find(&p->children, pid);
		if (slot != -1)
			bury_worker(p, slot, status);
		else if (pid == p->refuser)
			p->refuser = 0;
		else if (pid == p->purger)
			p->purger = 0;
		else if (pid == p->keeping)
			p->keeping = 0;
	}
}

/* What signals ask for. */

static void
signal_helpers(const struct pool *p, int sig)
{
	if (p->refuser > 0)
		kill(p->refuser, sig);
	if (p->purger > 0)
		kill(p->purger, sig);
}

static void
drain(struct pool *p)
{
	log_info("stopping: %d workers finish what they stream",
		 p->children.live - stats_idle());
	notify_stopping();
	enter_phase(p, DRAINING);
	atomic_store(&p->board->hungry, false);
	listeners_unlink(p->options->listeners);
	children_signal(&p->children, SIGTERM, 0);
	signal_helpers(p, SIGTERM);
}

static void
cut(struct pool *p)
{
	if (p->phase == RUNNING)
		drain(p);
	log_warn("stopping now: %d workers", p->children.live);
	enter_phase(p, CUTTING);
	children_signal(&p->children, SIGQUIT, 0);
	signal_helpers(p, SIGKILL);
}

static int
load_again(struct pool *p, struct config **fresh, struct error *e)
{
	*fresh = config_load(p->options->config_file, e);
	if (*fresh != NULL && service_prepare(*fresh, e) == 0)
		return 0;
	config_free(*fresh);
	return -1;
}

/* New workers first, then the old ones may go: whatever connects in between
 * waits in the queue of sockets that stay open here. */
static void
reload(struct pool *p)
{
	int64_t n = p->config->min_spare_workers;
	struct error e = { 0 };
	struct config *fresh;

	p->reload = false;
	notify_reloading();
	heap_open();
	if (load_again(p, &fresh, &e) == -1) {
		log_error("the settings stay as they were: %s", e.text);
		heap_seal();
		notify_ready();
		return;
	}
	config_free(p->config);
	p->config = fresh;
	log_init((enum log_level)fresh->log_level,
		 (enum log_format)fresh->log_format);
	p->generation++;
	p->current = 0;
	p->fork_ms = 0; /* what kept workers from starting may be mended */
	heap_seal();
	while (n-- > 0 && p->children.live < most_workers(p) &&
	       may_fork(p, stats_now_ms()))
		fork_worker(p, getpid());
	children_signal(&p->children, SIGUSR1, p->generation);
	log_info("settings reloaded: generation %d", p->generation);
	notify_ready();
}

static void
take_signal(struct pool *p, int sig)
{
	switch (sig) {
	case SIGTERM:
	case SIGINT:
		if (p->phase == RUNNING)
			drain(p);
		else if (p->phase == DRAINING)
			cut(p);
		else
			children_signal(&p->children, SIGKILL, 0);
		break;
	case SIGQUIT:
		cut(p);
		break;
	case SIGHUP:
		p->reload = p->phase == RUNNING;
		break;
	default: /* SIGCHLD: reaped on every turn */
		break;
	}
}

/* What is due. */

static struct sizing
sizes(const struct pool *p, int waiting)
{
	int64_t starting =
		p->forked - p->unready - atomic_load(&p->board->ready);

	return (struct sizing){
		.fixed = p->options->workers,
		.min_spare = (int)p->config->min_spare_workers,
		.max = most_workers(p),
		.live = p->children.live,
		.current = p->current,
		.idle = stats_idle(),
		.starting = starting > 0 ? (int)starting : 0,
		.waiting = waiting,
	};
}

static void
grow(struct pool *p, int waiting, int64_t now)
{
	struct sizing s = sizes(p, waiting);
	pid_t self = getpid();
	int n = sizing_spawn(&s);

	p->growing = n == SIZING_BURST;
	for (; n > 0 && may_fork(p, now); n--)
		fork_worker(p, self);
	atomic_store(&p->board->hungry,
		     s.fixed == 0 && p->children.live < s.max);
}

/* Can nobody else be put to work on the queue? */
static bool
is_saturated(const struct pool *p, int64_t now)
{
	if (stats_idle() > 0 || p->refuser > 0)
		return false;
	return p->phase == DRAINING || p->options->workers > 0 ||
	       p->children.live >= most_workers(p) || !may_fork(p, now);
}

static void
refuse(struct pool *p, int waiting, int64_t now)
{
	int64_t accepted = atomic_load(&p->board->accepted);

	if (!is_saturated(p, now))
		p->wait.since_ms = 0;
	else if (sizing_overdue(&p->wait, now, accepted, waiting,
				p->config->busy_wait_ms))
		fork_refuser(p);
}

/* One that takes a connection just now finishes it before it goes. */
static void
retire_idle(const struct pool *p, int n)
{
	for (int i = p->children.slots - 1; i >= 0 && n > 0; i--) {
		if (p->children.at[i].pid == 0 ||
		    stats_slot(i)->state != SLOT_IDLE)
			continue;
		kill(p->children.at[i].pid, SIGUSR1);
		n--;
	}
}

static void
shrink(struct pool *p, int64_t now)
{
	struct sizing s = sizes(p, 0);

	if (s.idle < p->idle_low)
		p->idle_low = s.idle;
	if (now - p->shrink_ms < SHRINK_MS)
		return;
	retire_idle(p, sizing_retire(&s, p->idle_low));
	p->idle_low = s.idle;
	p->shrink_ms = now;
}

static void
purge(struct pool *p, int64_t now)
{
	int64_t every_ms = p->config->purge_interval_s * 1000;

	if (every_ms == 0 || p->purger > 0 ||
	    (p->purge_ms > 0 && now - p->purge_ms < every_ms))
		return;
	p->purge_ms = now;
	fork_purger(p);
}

static void
report(struct pool *p, int64_t now)
{
	int64_t requests = stats_get(STAT_REQUESTS);

	if (now - p->report_ms < REPORT_MS)
		return;
	p->report_ms = now;
	if (requests == p->reported)
		return;
	p->reported = requests;
	log_info("%d workers, %d idle; %lld requests, %lld zips whole, "
		 "%lld aborted, %lld clients gone, %lld refused, %lld died",
		 p->children.live, stats_idle(), (long long)requests,
		 (long long)stats_get(STAT_ZIPS_DONE),
		 (long long)stats_get(STAT_ZIPS_ABORTED),
		 (long long)stats_get(STAT_CLIENT_GONE),
		 (long long)stats_get(STAT_REFUSED),
		 (long long)stats_get(STAT_DIED));
}

static void
turn_running(struct pool *p, int64_t now)
{
	int waiting = 0;

	if (p->reload)
		reload(p);
	fork_keeper(p, now);
	if (stats_idle() < p->config->min_spare_workers)
		waiting = listeners_waiting(p->options->listeners, false);
	grow(p, waiting, now);
	refuse(p, waiting, now);
	shrink(p, now);
	purge(p, now);
	report(p, now);
}

static void
turn_draining(struct pool *p, int64_t now)
{
	int64_t limit_ms = p->config->drain_timeout_s * 1000;

	if (now - p->phase_ms >= HANG_UP_MS)
		listeners_shut(p->options->listeners);
	if (limit_ms > 0 && now - p->phase_ms >= limit_ms)
		cut(p);
	else if (p->children.live > 0)
		refuse(p, listeners_waiting(p->options->listeners, true), now);
}

static void
turn(struct pool *p)
{
	int64_t now = stats_now_ms();

	reap(p);
	if (p->phase == RUNNING)
		turn_running(p, now);
	else if (p->phase == DRAINING)
		turn_draining(p, now);
	else if (now - p->phase_ms >= CUT_MS)
		children_signal(&p->children, SIGKILL, 0);
}

/* Waiting. */

static void
read_signals(struct pool *p)
{
	struct signalfd_siginfo info;

	while (read(p->signals, &info, sizeof(info)) == sizeof(info))
		take_signal(p, (int)info.ssi_signo);
}

static int
wait_ms(const struct pool *p, int64_t now)
{
	if (p->growing && p->phase == RUNNING && may_fork(p, now))
		return 0;
	if (!may_fork(p, now) || p->phase != RUNNING || stats_idle() == 0)
		return STARVED_TICK_MS;
	return TICK_MS;
}

/*
 * The listening sockets are watched only while every worker is busy and more
 * may come: nobody else notices a connection then.
 */
static void
wait_event(struct pool *p)
{
	struct pollfd fds[2 + LISTENERS_MAX] = {
		{ .fd = p->signals, .events = POLLIN },
		{ .fd = p->wake[0], .events = POLLIN },
	};
	const struct listeners *l = p->options->listeners;
	int64_t now = stats_now_ms();
	struct sizing s = sizes(p, 1);
	char waste[4096];
	nfds_t n = 2;

	if (p->phase == RUNNING && s.idle + s.starting == 0 &&
	    sizing_spawn(&s) > 0 && may_fork(p, now))
		for (int i = 0; i < l->count; i++)
			fds[n++] = (struct pollfd){ .fd = l->at[i].fd,
						    .events = POLLIN };
	if (poll(fds, n, wait_ms(p, now)) <= 0)
		return;
	while (read(p->wake[0], waste, sizeof(waste)) == sizeof(waste))
		continue;
	read_signals(p);
}

/* Beginning and end. */

static int
open_signals(void)
{
	static const int taken[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP,
				     SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		sigaddset(&set, taken[i]);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int
write_pid_file(const char *path, struct error *e)
{
	FILE *f = path != NULL ? fopen(path, "we") : NULL;

	if (path == NULL)
		return 0;
	if (f == NULL || fprintf(f, "%d\n", (int)getpid()) < 0) {
		error_set(e, ERROR_INTERNAL, "Cannot write %s: %s", path,
			  strerror(errno));
		if (f != NULL)
			fclose(f);
		return -1;
	}
	fclose(f);
	return 0;
}

static int
pool_open(struct pool *p, const struct pool_options *o, struct error *e)
{
	/* With a fixed number, the old ones need slots while they finish. */
	int slots =
		o->workers > 0 ? 2 * o->workers : (int)o->config->max_workers;

	p->options = o;
	p->config = o->config;
	p->wake[0] = p->wake[1] = -1;
	p->generation = 1;
	p->shrink_ms = p->report_ms = stats_now_ms();
	p->board = mmap(NULL, sizeof(*p->board), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->board == MAP_FAILED)
		p->board = NULL;
	p->signals = open_signals();
	if (slots < 1 || p->board == NULL || p->signals == -1 ||
	    pipe2(p->wake, O_CLOEXEC | O_NONBLOCK) == -1 ||
	    keeper_open(&p->keeper) == -1 ||
	    scoreboard_create(p->config, slots) == -1 ||
	    children_init(&p->children, slots))
		return error_set(e, ERROR_INTERNAL,
				 "Cannot set the pool up for %d workers",
				 slots);
	return write_pid_file(o->pid_file, e);
}

static void
pool_close(struct pool *p)
{
	signal_helpers(p, SIGKILL);
	listeners_unlink(p->options->listeners);
	scoreboard_remove(p->config);
	if (p->options->pid_file != NULL)
		unlink(p->options->pid_file);
	children_fini(&p->children);
	if (p->board != NULL)
		munmap(p->board, sizeof(*p->board));
	config_free(p->config);
	keeper_close(&p->keeper);
	close(p->wake[0]);
	close(p->wake[1]);
	close(p->signals);
}

int
pool_run(const struct pool_options *o)
{
	struct pool p = { 0 };
	struct error e = { 0 };
	int rc = pool_open(&p, o, &e);

	if (rc == 0) {
		log_info("serving with at most %d workers", most_workers(&p));
		heap_seal();
		turn(&p);
		notify_ready();
	} else {
		log_error("%s", e.text);
	}
	while (rc == 0 && (p.phase == RUNNING || p.children.live > 0)) {
		wait_event(&p);
		turn(&p);
	}
	if (rc == 0)
		log_info("stopped");
	pool_close(&p);
	return rc == 0 ? 0 : 1;
}
