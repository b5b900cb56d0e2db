/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * zipstream: which of its modes the program was started in, and the order in
 * which it starts.
 *
 *	CGI		GATEWAY_INTERFACE is set, descriptor 0 does not listen
 *	COMMAND		the first argument that is no option names it
 *	responder	descriptor 0 is a listening socket
 *
 * Exit codes: 0 well, 1 failed, 2 wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "cgi.h"
#include "config.h"
#include "confine.h"
#include "gateway.h"
#include "listener.h"
#include "pool.h"
#include "service.h"
#include "status_command.h"
#include "worker.h"
#include "zip_command.h"

#define LOG_MODULE "main"
#include "log.h"

#ifndef ZIPSTREAM_VERSION
#define ZIPSTREAM_VERSION "unknown"
#endif

#define WORKERS_MAX 10000

enum { EXIT_WELL, EXIT_FAILED, EXIT_USAGE };

/* What the command line says. */
struct invocation {
	const char *config_file; /* NULL: the default one */
	const char *pid_file;	 /* NULL: none */
	int workers;		 /* 0: as the load is */
	struct zip_options zip;
	int listen_count;
	struct listener_spec listen[LISTENERS_MAX];
	char **operands;
	int operand_count;
};

struct command {
	const char *name;
	const char *arguments;
	const char *text;
	int operands; /* at most */
	int (*run)(const struct invocation *in);
};

static int run_serve(const struct invocation *in);
static int run_init(const struct invocation *in);
static int run_purge(const struct invocation *in);
static int run_import(const struct invocation *in);
static int run_config(const struct invocation *in);
static int run_zip(const struct invocation *in);
static int run_status(const struct invocation *in);

static const struct command commands[] = {
	{ "serve", "--listen ADDRESS", "serve FastCGI on sockets of its own", 0,
	  run_serve },
	{ "init", "", "create or upgrade the tables", 0, run_init },
	{ "purge", "", "delete what has expired", 0, run_purge },
	{ "import", "[TABLE]", "copy the bundles of the Node service", 1,
	  run_import },
	{ "config", "", "print every setting in force", 0, run_config },
	{ "status", "", "show what the workers of a pool do", 0, run_status },
	{ "zip", "[MANIFEST.json]", "make a zip from a list of files", 1,
	  run_zip },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int
print_help(void)
{
	printf("Usage: zipstream [OPTIONS] [COMMAND]\n"
	       "Streams files from the web and from S3 as one zip.\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-7s%-18s%s\n", commands[i].name,
		       commands[i].arguments, commands[i].text);
	printf("\nWithout a command it answers the web server that has "
	       "started it,\nby FastCGI or CGI.\n\n"
	       "Options:\n"
	       "  --config FILE     settings, NAME=value a line\n"
	       "  --listen ADDRESS  unix:PATH[,mode=0660] or HOST:PORT; may "
	       "be repeated\n"
	       "  --workers N       so many workers, instead of as the load "
	       "is\n"
	       "  --pid-file FILE   of the pool's parent\n"
	       "  -o FILE           where zip writes; - is standard output\n"
	       "  -C                zip goes on with what it left in FILE.part"
	       "\n"
	       "  -q, --quiet       zip shows no progress\n"
	       "  --help, --version\n\n"
	       "See zipstream(1).\n");
	return EXIT_WELL;
}

/* The exit code, once what was printed has gone out. */
static int
flushed(int rc)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return rc;
	fprintf(stderr, "zipstream: Cannot write standard output: %s\n",
		strerror(errno));
	return rc == EXIT_WELL ? EXIT_FAILED : rc;
}

static int
usage(const char *what, const char *detail)
{
	fprintf(stderr,
		"zipstream: %s%s\n"
		"Try 'zipstream --help'.\n",
		what, detail);
	return EXIT_USAGE;
}

/* Proves the settings that config_load took at their word, and makes all that
 * is shared by every fork. */
static int
prepare(const struct config *c, struct error *e)
{
	uid_t uid;
	gid_t gid;

	if (confine_ids(c, &uid, &gid, e) == -1 || gateway_prepare(e) == -1)
		return -1;
	return service_prepare(c, e);
}

/* The start-up chain: settings, log, what is to be had before a fork. */
static struct config *
start(const struct invocation *in)
{
	struct error e = { 0 };
	struct config *c = config_load(in->config_file, &e);

	if (c == NULL) {
		log_error("%s", e.text);
		return NULL;
	}
	log_init((enum log_level)c->log_level, (enum log_format)c->log_format);
	if (prepare(c, &e) == -1) {
		log_error("cannot start: %s%s%s", e.text,
			  e.cause[0] ? ": " : "", e.cause);
		config_free(c);
		return NULL;
	}
	return c;
}

static int
open_sockets(const struct invocation *in, const struct config *c,
	     struct listeners *l, struct error *e)
{
	if (listeners_adopt_systemd(l, e) == -1)
		return -1;
	for (int i = 0; i < in->listen_count; i++)
		if (listeners_open(l, &in->listen[i], c, e) == -1)
			return -1;
	if (l->count == 0 && listener_is(STDIN_FILENO))
		return listeners_adopt(l, STDIN_FILENO, e);
	if (l->count == 0)
		return error_set(e, ERROR_INPUT,
				 "serve needs --listen unix:PATH or HOST:PORT");
	return 0;
}

static int
run_serve(const struct invocation *in)
{
	struct listeners l = { 0 };
	struct error e = { 0 };
	struct config *c = start(in);

	if (c == NULL)
		return EXIT_FAILED;
	if (open_sockets(in, c, &l, &e) == -1) {
		log_error("%s%s%s", e.text, e.cause[0] ? ": " : "", e.cause);
		listeners_unlink(&l);
		config_free(c);
		return e.code == ERROR_INPUT ? EXIT_USAGE : EXIT_FAILED;
	}
	return pool_run(&(struct pool_options){
		.config = c,
		.config_file = in->config_file,
		.listeners = &l,
		.path = INBOUND_FASTCGI,
		.workers = in->workers,
		.pid_file = in->pid_file,
	});
}

/* On the socket that a web server left on descriptor 0: one worker, which is
 * this process, or --workers of them. */
static int
run_responder(const struct invocation *in)
{
	struct listeners l = { 0 };
	struct worker_setup alone = { .wake_fd = -1,
				      .keeper_fd = -1,
				      .slot = -1 };
	struct error e = { 0 };
	struct config *c = start(in);
	enum inbound_path path = listener_of_mod_fcgid(STDIN_FILENO)
					 ? INBOUND_MOD_FCGID
					 : INBOUND_FASTCGI;
	int rc;

	if (c == NULL)
		return EXIT_FAILED;
	if (listeners_adopt(&l, STDIN_FILENO, &e) == -1) {
		log_error("%s: %s", e.text, e.cause);
		config_free(c);
		return EXIT_FAILED;
	}
	if (in->workers > 0)
		return pool_run(&(struct pool_options){
			.config = c,
			.config_file = in->config_file,
			.listeners = &l,
			.path = path,
			.workers = in->workers,
			.pid_file = in->pid_file,
		});
	alone.config = c;
	alone.listeners = &l;
	alone.path = path;
	rc = worker_run(&alone);
	config_free(c);
	return rc;
}

static int
run_cgi(const struct invocation *in)
{
	struct config *c = start(in);
	int rc = c != NULL ? cgi_run(c) : EXIT_FAILED;

	config_free(c);
	return rc;
}

static int
run_admin(const struct invocation *in, int (*task)(const struct config *c))
{
	struct config *c = start(in);
	int rc = c != NULL ? task(c) : EXIT_FAILED;

	config_free(c);
	return rc;
}

static int
run_init(const struct invocation *in)
{
	return run_admin(in, admin_init);
}

static int
run_purge(const struct invocation *in)
{
	return run_admin(in, admin_purge);
}

static int
run_import(const struct invocation *in)
{
	const char *table = in->operand_count > 0 ? in->operands[0] : "";
	struct config *c = start(in);
	int rc = c != NULL ? admin_import(c, table) : EXIT_FAILED;

	config_free(c);
	return rc;
}

static int
run_config(const struct invocation *in)
{
	struct error e = { 0 };
	struct config *c = config_load(in->config_file, &e);

	if (c == NULL || prepare(c, &e) == -1) {
		fprintf(stderr, "zipstream: %s\n", e.text);
		config_free(c);
		return EXIT_FAILED;
	}
	config_print(c, stdout);
	config_free(c);
	return flushed(EXIT_WELL);
}

static int
run_zip(const struct invocation *in)
{
	struct zip_options o = in->zip;
	struct config *c = start(in);
	int rc;

	o.manifest = in->operand_count > 0 ? in->operands[0] : "-";
	rc = c != NULL ? zip_command(c, &o) : EXIT_FAILED;
	config_free(c);
	return rc;
}

static int
run_status(const struct invocation *in)
{
	struct error e = { 0 };
	struct config *c = config_load(in->config_file, &e);
	int rc = EXIT_FAILED;

	if (c != NULL)
		rc = status_command(c);
	else
		fprintf(stderr, "zipstream: %s\n", e.text);
	config_free(c);
	return rc;
}

static int
parse_workers(const char *text, int *workers)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end != '\0' || n < 1 || n > WORKERS_MAX)
		return usage("--workers takes a number from 1 to 10000, not ",
			     text);
	*workers = (int)n;
	return EXIT_WELL;
}

static int
parse_listen(const char *text, struct invocation *in)
{
	struct error e = { 0 };

	if (in->listen_count == LISTENERS_MAX)
		return usage("too many times --listen", "");
	if (listener_parse(text, &in->listen[in->listen_count], &e) == -1)
		return usage("--listen: ", e.text);
	in->listen_count++;
	return EXIT_WELL;
}

/* Options may stand on either side of the command.  Sets *done when the
 * program has said all that it was asked for. */
static int
parse_options(int argc, char **argv, struct invocation *in, bool *done)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "listen", required_argument, NULL, 'l' },
		{ "workers", required_argument, NULL, 'w' },
		{ "pid-file", required_argument, NULL, 'p' },
		{ "output", required_argument, NULL, 'o' },
		{ "continue", no_argument, NULL, 'C' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	int opt, rc = EXIT_WELL;

	opterr = 0;
	while (rc == EXIT_WELL && !*done &&
	       (opt = getopt_long(argc, argv, "o:Cq", options, NULL)) != -1) {
		if (opt == 'c') {
			in->config_file = optarg;
		} else if (opt == 'l') {
			rc = parse_listen(optarg, in);
		} else if (opt == 'w') {
			rc = parse_workers(optarg, &in->workers);
		} else if (opt == 'p') {
			in->pid_file = optarg;
		} else if (opt == 'o') {
			in->zip.output = optarg;
		} else if (opt == 'C') {
			in->zip.resume = true;
		} else if (opt == 'q') {
			in->zip.quiet = true;
		} else if (opt == 'h') {
			rc = print_help();
			*done = true;
		} else if (opt == 'v') {
			puts("zipstream " ZIPSTREAM_VERSION);
			*done = true;
		} else {
			rc = usage("unknown option, or one without its value: ",
				   argv[optind - 1]);
		}
	}
	in->operands = argv + optind;
	in->operand_count = argc - optind;
	return rc;
}

static int
run_command(struct invocation *in)
{
	const char *name = in->operands[0];

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		in->operands++;
		in->operand_count--;
		if (in->operand_count > commands[i].operands)
			return usage("too many arguments for ", name);
		return commands[i].run(in);
	}
	return usage("unknown command: ", name);
}

/*
 * Web servers hand a query without '=' to a CGI script as its arguments (RFC
 * 3875, section 4.4): those come from the client and are not obeyed.
 */
static bool
arguments_are_ours(void)
{
	const char *query = getenv("QUERY_STRING");

	return query == NULL || query[0] == '\0' || strchr(query, '=') != NULL;
}

/* Where a standard descriptor is closed, the next socket would be it, and be
 * written to: something takes its place that refuses. */
static void
hold_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd != -1 && fd <= STDERR_FILENO);
	if (fd != -1)
		close(fd);
}

int
main(int argc, char **argv)
{
	struct invocation in = { 0 };
	bool cgi = cgi_is(), done = false;
	int rc = EXIT_WELL;

	hold_standard_descriptors();
	if (!cgi || arguments_are_ours())
		rc = parse_options(argc, argv, &in, &done);
	if (rc != EXIT_WELL || done)
		return flushed(rc);
	if (cgi)
		return run_cgi(&in);
	if (in.operand_count > 0)
		return run_command(&in);
	if (listener_is(STDIN_FILENO))
		return run_responder(&in);
	return usage("no command, and no web server has started it", "");
}
