/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The AWS credential chain, cached in memory that parent and workers share:
 * whichever process finds the keys about to expire fetches new ones for all.
 */
#include "credentials.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "address.h"
#include "arena.h"
#include "buf.h"
#include "http.h"
#include "json.h"
#include "url.h"

#define LOG_MODULE "credentials"
#include "log.h"

#define REFRESH_BEFORE 300 /* seconds before expiry: SDKs' own habit */
#define NONE_FOR 60	   /* an empty chain is not asked again for so long */
#define FETCH_CLAIM 15	   /* one process at a time may be fetching */
#define ANSWER_MAX 65536
#define TIMEOUT_MS 2000
#define TOKEN_MAX 65536 /* in AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE */
#define CONTAINER_HOST "http://169.254.170.2"
/* Where plain http may go: this machine, and the agents of ECS and EKS. */
#define CONTAINER_NEAR                                                         \
	"127.0.0.0/8 ::1/128 169.254.170.2/32 169.254.170.23/32 "              \
	"fd00:ec2::23/128"
#define METADATA_ROLE "/latest/meta-data/iam/security-credentials/"

enum chain_state { CHAIN_UNKNOWN, CHAIN_FOUND, CHAIN_NONE };

static struct shared {
	pthread_mutex_t lock;
	enum chain_state state;
	int64_t checked; /* when state was set */
	int64_t claimed; /* a process is fetching since then; 0: none */
	struct credentials keys;
} * shared;

/* Before the fork, so that all processes see one cache. */
static int
shared_map(void)
{
	pthread_mutexattr_t attr;
	void *p;

	if (shared != NULL)
		return 0;
	p = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -1;
	shared = p;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&shared->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return 0;
}

/* A worker may die with the lock: what it guards is plain data. */
static void
shared_lock(void)
{
	if (pthread_mutex_lock(&shared->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&shared->lock);
}

static void
copy_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text != NULL ? text : "");
}

static int
from_environment(const struct config *c, struct credentials *out)
{
	if (c->aws_access_key_id[0] == '\0' ||
	    c->aws_secret_access_key[0] == '\0')
		return 0;
	copy_text(out->access_key, sizeof(out->access_key),
		  c->aws_access_key_id);
	copy_text(out->secret_key, sizeof(out->secret_key),
		  c->aws_secret_access_key);
	copy_text(out->token, sizeof(out->token), c->aws_session_token);
	return 1;
}

static char *
trim(char *s)
{
	char *end = s + strlen(s);

	while (isspace((unsigned char)*s))
		s++;
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return s;
}

/* One "key = value" line of the wanted profile. */
static void
take_line(char *line, struct credentials *out)
{
	char *value = strchr(line, '=');
	const char *key;

	if (value == NULL)
		return;
	*value++ = '\0';
	key = trim(line);
	value = trim(value);
	if (strcmp(key, "aws_access_key_id") == 0)
		copy_text(out->access_key, sizeof(out->access_key), value);
	if (strcmp(key, "aws_secret_access_key") == 0)
		copy_text(out->secret_key, sizeof(out->secret_key), value);
	if (strcmp(key, "aws_session_token") == 0)
		copy_text(out->token, sizeof(out->token), value);
}

static FILE *
open_shared_file(const struct config *c)
{
	const char *home = getenv("HOME");
	char path[4096];

	if (c->aws_shared_credentials_file[0] != '\0')
		return fopen(c->aws_shared_credentials_file, "re");
	if (home == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s/.aws/credentials", home);
	return fopen(path, "re");
}

static int
from_file(const struct config *c, struct credentials *out)
{
	const char *profile =
		c->aws_profile[0] != '\0' ? c->aws_profile : "default";
	FILE *f = open_shared_file(c);
	bool mine = false;
	char line[8192], *s;

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		s = trim(line);
		if (*s == '[') {
			s[strcspn(s, "]")] = '\0';
			mine = strcmp(trim(s + 1), profile) == 0;
		} else if (mine && *s != '#' && *s != ';') {
			take_line(s, out);
		}
	}
	fclose(f);
	explicit_bzero(line, sizeof(line));
	return out->access_key[0] != '\0' && out->secret_key[0] != '\0';
}

/* The document that the container endpoint and IMDS both give. */
static int
take_document(const struct buf *answer, struct credentials *out,
	      struct error *e)
{
	struct json *doc = json_parse(buf_str(answer), answer->len, e);
	const char *expires;

	if (doc == NULL)
		return error_set(e, ERROR_UNAVAILABLE,
				 "The credential service gave no JSON");
	copy_text(out->access_key, sizeof(out->access_key),
		  json_string(json_get(doc, "AccessKeyId"), NULL));
	copy_text(out->secret_key, sizeof(out->secret_key),
		  json_string(json_get(doc, "SecretAccessKey"), NULL));
	copy_text(out->token, sizeof(out->token),
		  json_string(json_get(doc, "Token"), NULL));
	expires = json_string(json_get(doc, "Expiration"), NULL);
	out->expires = expires[0] != '\0' ? http_rfc3339_parse(expires) : 0;
	json_free(doc);
	if (out->access_key[0] == '\0' || out->secret_key[0] == '\0')
		return error_set(e, ERROR_UNAVAILABLE,
				 "The credential service gave no keys");
	return 1;
}

/* 200 with a body, or -1. */
static int
ask(struct transfer_engine *t, const struct transfer_call *call,
    struct buf *answer, struct error *e)
{
	struct transfer_answer got = { .body = answer };
	int rc = transfer_exchange(t, call, TIMEOUT_MS, &got, e);

	if (rc == 0 && got.status != 200) {
		rc = error_set(e, ERROR_UNAVAILABLE,
			       "The credential service answered %d",
			       got.status);
		e->http_status = got.status;
	}
	return rc;
}

/* On the way to anywhere else others could read along. */
static bool
is_near(struct arena *a, const char *host)
{
	size_t bracket = host[0] == '[';
	const char *address =
		arena_strndup(a, host + bracket, strlen(host) - 2 * bracket);
	char *bad;
	struct address_list *near = address_list_parse(CONTAINER_NEAR, &bad);
	bool yes = strcmp(host, "localhost") == 0 ||
		   (address != NULL && address_list_has_text(near, address));

	address_list_free(near);
	return yes;
}

/* NULL: refused.  A full URI may be https, or near: the SDKs' own rule. */
static const char *
container_url(const struct config *c, struct arena *a)
{
	const char *relative = c->aws_container_credentials_relative_uri;
	struct url u;

	if (relative[0] != '\0')
		return relative[0] == '/'
			       ? arena_printf(a, CONTAINER_HOST "%s", relative)
			       : NULL;
	if (url_parse(a, c->aws_container_credentials_full_uri, &u, NULL) !=
		    0 ||
	    (strcmp(u.scheme, "https") != 0 && !is_near(a, u.host)))
		return NULL;
	return url_format(a, &u);
}

/* For the header Authorization, "" for none; NULL: the file cannot be read.
 * It is read each time: EKS replaces it every few hours. */
static const char *
container_token(const struct config *c, struct arena *a)
{
	const char *path = c->aws_container_authorization_token_file;
	char *token;
	FILE *f;

	if (path[0] == '\0')
		return c->aws_container_authorization_token;
	token = arena_alloc(a, TOKEN_MAX);
	f = token != NULL ? fopen(path, "re") : NULL;
	if (f == NULL)
		return NULL;
	if (fgets(token, TOKEN_MAX, f) == NULL)
		token = NULL;
	else
		token[strcspn(token, "\r\n")] = '\0';
	fclose(f);
	return token;
}

static int
ask_container(const struct config *c, struct transfer_engine *t,
	      struct arena *a, struct credentials *out, struct error *e)
{
	struct transfer_call call = { .method = "GET", .trusted = true };
	const char *token = container_token(c, a);
	struct buf answer;
	int rc;

	call.url = container_url(c, a);
	if (call.url == NULL)
		return error_set(e, ERROR_UNAVAILABLE,
				 "The container's credential address is "
				 "refused");
	if (token == NULL)
		return error_set(e, ERROR_UNAVAILABLE,
				 "The container's token cannot be read");
	if (token[0] != '\0')
		call.headers[call.header_count++] =
			(struct transfer_header){ "Authorization", token };
	buf_init(&answer, ANSWER_MAX);
	rc = ask(t, &call, &answer, e);
	if (rc == 0)
		rc = take_document(&answer, out, e);
	buf_free(&answer);
	return rc;
}

static int
from_container(const struct config *c, struct transfer_engine *t,
	       struct credentials *out, struct error *e)
{
	struct arena *a;
	int rc;

	if (c->aws_container_credentials_relative_uri[0] == '\0' &&
	    c->aws_container_credentials_full_uri[0] == '\0')
		return 0;
	a = arena_new(0);
	rc = a != NULL ? ask_container(c, t, a, out, e) : error_memory(e);
	arena_free(a);
	return rc;
}

/* One GET under the session token. */
static int
metadata_get(struct transfer_engine *t, const char *url, const char *token,
	     struct buf *answer, struct error *e)
{
	struct transfer_call call = {
		.method = "GET", .url = url, .trusted = true, .header_count = 1
	};

	call.headers[0] =
		(struct transfer_header){ "X-aws-ec2-metadata-token", token };
	buf_reset(answer);
	return ask(t, &call, answer, e);
}

/* IMDSv2: a token first, then the role's name, then its keys. */
static int
from_metadata(const struct config *c, struct transfer_engine *t,
	      struct credentials *out, struct error *e)
{
	const char *host = c->aws_ec2_metadata_service_endpoint;
	size_t n = strlen(host);
	struct transfer_call call = { .method = "PUT",
				      .trusted = true,
				      .header_count = 1 };
	struct buf url, token, answer;
	struct error none;
	int rc = 0;

	if (c->aws_ec2_metadata_disabled)
		return 0;
	if (n > 0 && host[n - 1] == '/')
		n--;
	buf_init(&url, 4096);
	buf_init(&token, ANSWER_MAX);
	buf_init(&answer, ANSWER_MAX);
	buf_printf(&url, "%.*s/latest/api/token", (int)n, host);
	call.url = buf_str(&url);
	call.headers[0] = (struct transfer_header){
		"X-aws-ec2-metadata-token-ttl-seconds", "21600"
	};
	/* Where nobody gives a session token, this is no EC2 machine. */
	if (ask(t, &call, &token, &none) != 0)
		goto out;
	rc = -1;
	buf_reset(&url);
	buf_printf(&url, "%.*s" METADATA_ROLE, (int)n, host);
	if (metadata_get(t, buf_str(&url), buf_str(&token), &answer, e) != 0) {
		/* A machine that was given no role has no keys. */
		if (e->http_status == 404)
			rc = 0;
		goto out;
	}
	buf_put(&url, answer.data, strcspn(buf_str(&answer), "\r\n"));
	if (metadata_get(t, buf_str(&url), buf_str(&token), &answer, e) == 0)
		rc = take_document(&answer, out, e);
out:
	buf_free(&url);
	buf_free(&token);
	buf_free(&answer);
	return rc;
}

/* What was cut to fit would be signed with all the same, and refused far away
 * for a reason that nobody understands. */
static int
check_lengths(const struct credentials *keys, struct error *e)
{
	if (strlen(keys->access_key) < sizeof(keys->access_key) - 1 &&
	    strlen(keys->secret_key) < sizeof(keys->secret_key) - 1 &&
	    strlen(keys->token) < sizeof(keys->token) - 1)
		return 1;
	return error_set(e, ERROR_UNAVAILABLE,
			 "The AWS credentials are too long");
}

/* 1 found, 0 none, -1 failed.  `t` NULL: only what needs no network. */
static int
run_chain(const struct config *c, struct transfer_engine *t,
	  struct credentials *out, struct error *e)
{
	int rc;

	memset(out, 0, sizeof(*out));
	rc = from_environment(c, out) || from_file(c, out);
	if (rc == 0 && t != NULL)
		rc = from_container(c, t, out, e);
	if (rc == 0 && t != NULL)
		rc = from_metadata(c, t, out, e);
	return rc == 1 ? check_lengths(out, e) : rc;
}

/* Under the lock. */
static bool
keys_work(int64_t now)
{
	int64_t expires = shared->keys.expires;

	return shared->state == CHAIN_FOUND && (expires == 0 || expires > now);
}

/*
 * What a run of the chain brought is what all know from then on.  The outcome
 * for this process: when it failed, keys that still work go on serving, and
 * what failed is not asked by every request that follows.
 */
static int
publish(struct credentials *keys, int found, int64_t now)
{
	shared_lock();
	if (found >= 0) {
		shared->claimed = 0;
		shared->keys = *keys;
		shared->state = found > 0 ? CHAIN_FOUND : CHAIN_NONE;
		shared->checked = now;
	} else if (keys_work(now)) {
		*keys = shared->keys;
		found = 1;
	} else {
		shared->state = CHAIN_UNKNOWN;
	}
	pthread_mutex_unlock(&shared->lock);
	return found;
}

/* Keys that end come from a service: its silence later on does not mean that
 * there are none, and that public buckets alone can be read. */
static bool
had_service(void)
{
	bool had;

	shared_lock();
	had = shared->keys.expires != 0;
	pthread_mutex_unlock(&shared->lock);
	return had;
}

/* 1 or 0: what the cache says; -1: this process shall fetch. */
static int
consult(struct credentials *out, int64_t now)
{
	const struct credentials *k = &shared->keys;
	bool fresh, claimed;
	int rc = -1;

	shared_lock();
	fresh = k->expires == 0 || k->expires > now + REFRESH_BEFORE;
	claimed = shared->claimed != 0 && now - shared->claimed < FETCH_CLAIM;
	if (keys_work(now) && (fresh || claimed)) {
		*out = *k;
		rc = 1;
	} else if (shared->state == CHAIN_NONE &&
		   now - shared->checked < NONE_FOR) {
		rc = 0;
	} else {
		shared->claimed = now;
	}
	pthread_mutex_unlock(&shared->lock);
	return rc;
}

int
credentials_get(const struct config *c, struct transfer_engine *t,
		struct credentials *out, struct error *e)
{
	int64_t now = (int64_t)time(NULL);
	struct error why;
	int rc;

	if (shared_map() != 0)
		return error_memory(e);
	rc = consult(out, now);
	if (rc >= 0)
		return rc;
	rc = run_chain(c, t, out, &why);
	if (rc == 0 && had_service())
		rc = error_set(&why, ERROR_UNAVAILABLE,
			       "The service that gave them is away");
	if (rc < 0)
		log_error("no AWS credentials: %s", why.text);
	rc = publish(out, rc, now);
	if (rc < 0)
		*e = why;
	return rc;
}

void
credentials_prepare(const struct config *c)
{
	struct credentials keys;
	struct error e;

	if (shared_map() != 0)
		return;
	if (run_chain(c, NULL, &keys, &e) > 0) {
		publish(&keys, 1, (int64_t)time(NULL));
	} else {
		/* Those of the settings before must not live on. */
		shared_lock();
		explicit_bzero(&shared->keys, sizeof(shared->keys));
		shared->state = CHAIN_UNKNOWN;
		pthread_mutex_unlock(&shared->lock);
	}
	explicit_bzero(&keys, sizeof(keys));
}

void
credentials_forget(void)
{
	if (shared_map() != 0)
		return;
	shared_lock();
	shared->state = CHAIN_UNKNOWN;
	pthread_mutex_unlock(&shared->lock);
}
