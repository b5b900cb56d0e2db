/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * HTTP exchanges on one curl multi handle; the only user of libcurl.
 *
 * The address rules are kept twice: when a socket is made (the address that
 * was resolved is the one that is connected to) and before each request,
 * because a kept connection may have been made by a trusted call.
 */
#include "transfer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "address.h"
#include "crypto.h"
#include "stats.h"

#define LOG_MODULE "transfer"
#include "log.h"

#define CONNECTIONS 64 /* kept open for the next request */
#define HANDLES 16     /* easy handles kept for reuse */
/* Bytes asked of a socket at once.  A transfer that is held has up to twice as
 * many in libcurl's own buffers, so that only the long streams, of which few
 * are open, get the size that takes the least CPU. */
#define READ_SIZE 65536
#define READ_SIZE_BULK 262144
/* How long a hang-up may go unseen while transfers are busy, and while
 * unread bytes keep the descriptor readable. */
#define WATCH_BUSY_MS 20
#define WATCH_MUTED_MS 250

struct transfer {
	struct transfer_engine *engine;
	struct transfer *next, *prev;
	CURL *easy;
	struct curl_slist *headers;
	struct transfer_events ev;
	void *ctx;
	size_t (*upload)(void *ctx, void *p, size_t n);
	void *upload_ctx;
	struct transfer_head head;
	int64_t head_bytes;
	bool trusted;
	bool bulk;
	bool bodiless;
	struct crypto_watch *watch; /* the body ends with a TLS connection */
	bool paused;
	bool unpause;	 /* wanted at the next turn */
	bool head_done;	 /* `head` is the final one */
	bool stopped;	 /* by a callback */
	bool head_large; /* over MAX_SOURCE_HEADER */
	bool refused;	 /* an address was not allowed */
	bool tried;	 /* another one was */
};

struct transfer_engine {
	const struct config *config;
	CURLM *multi;
	CURLSH *share; /* TLS sessions */
	struct address_list *private;
	struct transfer *active;
	CURL *idle[HANDLES];
	size_t idle_count;
	bool settled;	  /* nothing can move without waiting */
	bool moved;	  /* an event was delivered in this turn */
	int muted;	  /* a watched descriptor with unread bytes; -1 */
	int64_t watch_at; /* when it was last looked at */
};

int
transfer_prepare(const struct config *c, struct error *e)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(e, ERROR_INTERNAL, "libcurl does not start");
	return crypto_ca_load(c->ca_file, e);
}

/* Connections that nobody reads just now: no more of them than a quarter of
 * the descriptors that we may have. */
static long
most_kept(void)
{
	struct rlimit files = { .rlim_cur = RLIM_INFINITY };

	getrlimit(RLIMIT_NOFILE, &files);
	return files.rlim_cur / 4 < CONNECTIONS ? (long)files.rlim_cur / 4
						: CONNECTIONS;
}

struct transfer_engine *
transfer_engine_new(const struct config *c, struct error *e)
{
	struct transfer_engine *t = calloc(1, sizeof(*t));
	char *bad = NULL;

	if (t == NULL) {
		error_memory(e);
		return NULL;
	}
	t->config = c;
	t->muted = -1;
	t->private = address_list_parse(c->allow_private_networks, &bad);
	t->multi = curl_multi_init();
	t->share = curl_share_init();
	if (t->private == NULL || t->multi == NULL || t->share == NULL) {
		error_set(e, ERROR_INTERNAL, "No engine for transfers");
		error_cause(e, "%s", bad != NULL ? bad : "out of memory");
		free(bad);
		transfer_engine_free(t);
		return NULL;
	}
	curl_share_setopt(t->share, CURLSHOPT_SHARE,
			  CURL_LOCK_DATA_SSL_SESSION);
	curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, most_kept());
	return t;
}

static void
transfer_free(struct transfer *x)
{
	struct transfer_engine *t = x->engine;

	if (x->prev != NULL)
		x->prev->next = x->next;
	else
		t->active = x->next;
	if (x->next != NULL)
		x->next->prev = x->prev;
	curl_multi_remove_handle(t->multi, x->easy);
	curl_easy_reset(x->easy);
	/* One that ended early may keep its buffer, of whatever size. */
	if (t->idle_count < HANDLES && !x->bulk)
		t->idle[t->idle_count++] = x->easy;
	else
		curl_easy_cleanup(x->easy);
	curl_slist_free_all(x->headers);
	crypto_watch_free(x->watch);
	free(x);
}

void
transfer_engine_free(struct transfer_engine *t)
{
	if (t == NULL)
		return;
	while (t->active != NULL)
		transfer_free(t->active);
	while (t->idle_count > 0)
		curl_easy_cleanup(t->idle[--t->idle_count]);
	curl_multi_cleanup(t->multi);
	curl_share_cleanup(t->share);
	address_list_free(t->private);
	free(t);
}

/* Callbacks of libcurl */

static curl_socket_t
on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct transfer *x = ctx;
	char text[64];

	(void)purpose;
	if (!x->trusted && !address_allowed(x->engine->private, &a->addr)) {
		address_format(&a->addr, text, sizeof(text));
		log_info("refused to connect to %s", text);
		x->refused = true;
		return CURL_SOCKET_BAD;
	}
	x->tried = true;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static bool
peer_allowed(const struct transfer_engine *t, const char *ip)
{
	struct sockaddr_storage s;

	return address_from_text(ip, &s) &&
	       address_allowed(t->private, (const struct sockaddr *)&s);
}

static int
on_request(void *ctx, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
	struct transfer *x = ctx;

	(void)own_ip;
	(void)peer_port;
	(void)own_port;
	if (x->trusted || peer_allowed(x->engine, peer_ip))
		return CURL_PREREQFUNC_OK;
	log_info("refused a connection to %s", peer_ip);
	x->refused = true;
	x->tried = false;
	return CURL_PREREQFUNC_ABORT;
}

static CURLcode
on_tls_context(CURL *easy, void *ssl_ctx, void *ctx)
{
	(void)easy;
	(void)ctx;
	return crypto_ca_share(ssl_ctx) == 0 ? CURLE_OK
					     : CURLE_SSL_CACERT_BADFILE;
}

static const char *
head_get(const struct transfer_head *h, const char *name)
{
	struct curl_header *found;

	return curl_easy_header(h->opaque, name, 0, CURLH_HEADER, -1, &found) ==
			       CURLHE_OK
		       ? found->value
		       : NULL;
}

static const char *
head_text(const struct transfer_head *h, const char *name)
{
	const char *value = head_get(h, name);

	return value != NULL ? value : "";
}

/* RFC 9112, section 6.3: Transfer-Encoding overrides Content-Length. */
static int64_t
head_length(const struct transfer_head *h)
{
	const char *length = head_get(h, "Content-Length");
	char *end;
	long long n;

	if (length == NULL || head_get(h, "Transfer-Encoding") != NULL ||
	    length[0] < '0' || length[0] > '9')
		return -1;
	/* One that is out of range stays larger than any file: libcurl takes
	 * it for none, and any end for the end. */
	n = strtoll(length, &end, 10);
	return *end == '\0' ? n : -1;
}

/* RFC 9112, section 9.8: such a body is whole only after close_notify, for
 * which libcurl does not look. */
static void
watch_close(struct transfer *x)
{
	struct curl_tlssessioninfo *tls = NULL;
	long version = CURL_HTTP_VERSION_NONE;

	curl_easy_getinfo(x->easy, CURLINFO_HTTP_VERSION, &version);
	curl_easy_getinfo(x->easy, CURLINFO_TLS_SSL_PTR, &tls);
	if ((x->head.status != 200 && x->head.status != 206) ||
	    version >= CURL_HTTP_VERSION_2_0 || tls == NULL ||
	    tls->internals == NULL || x->bodiless ||
	    head_get(&x->head, "Content-Length") != NULL ||
	    head_get(&x->head, "Transfer-Encoding") != NULL)
		return;
	x->watch = crypto_watch_close(tls->internals);
}

static int
deliver_head(struct transfer *x)
{
	struct transfer_head *h = &x->head;
	long status = 0;

	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	/* Another one follows, but not after 101: libcurl takes what comes
	 * then for a body. */
	if (status >= 100 && status < 200 && status != 101)
		return 0;
	x->head_done = true;
	*h = (struct transfer_head){ .status = (int)status,
				     .get = head_get,
				     .opaque = x->easy };
	h->content_length = head_length(h);
	h->content_type = head_text(h, "Content-Type");
	h->etag = head_text(h, "ETag");
	h->last_modified = head_text(h, "Last-Modified");
	h->content_range = head_text(h, "Content-Range");
	h->accept_ranges = head_text(h, "Accept-Ranges");
	h->content_encoding = head_text(h, "Content-Encoding");
	h->location = head_text(h, "Location");
	watch_close(x);
	return x->ev.head(x->ctx, h);
}

static size_t
on_header(char *line, size_t size, size_t n, void *ctx)
{
	struct transfer *x = ctx;

	n *= size;
	x->engine->moved = true;
	x->head_bytes += (int64_t)n;
	if (x->head_bytes > x->engine->config->max_source_header) {
		x->head_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	/* What comes after the head are trailers. */
	if (x->head_done || (line[0] != '\r' && line[0] != '\n'))
		return n;
	if (deliver_head(x) == 0)
		return n;
	x->stopped = true;
	return CURL_WRITEFUNC_ERROR;
}

static size_t
on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *x = ctx;
	size_t taken;

	n *= size;
	x->engine->moved = true;
	taken = x->ev.data(x->ctx, p, n);
	if (taken == TRANSFER_PAUSE) {
		x->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (taken == n)
		return n;
	x->stopped = true;
	return CURL_WRITEFUNC_ERROR;
}

static size_t
on_upload(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *x = ctx;
	size_t got = x->upload(x->upload_ctx, p, size * n);

	x->engine->moved = true;
	if (got == TRANSFER_STOP) {
		x->stopped = true;
		return CURL_READFUNC_ABORT;
	}
	if (got != TRANSFER_PAUSE)
		return got;
	x->paused = true;
	return CURL_READFUNC_PAUSE;
}

/* Starting */

static int
add_header(struct transfer *x, const char *name, const char *value)
{
	struct curl_slist *longer;
	char *line = NULL;

	/* A value with a line break would be a header of someone else's. */
	if (strpbrk(value, "\r\n") != NULL ||
	    asprintf(&line, value[0] != '\0' ? "%s: %s" : "%s:%s", name,
		     value) < 0)
		return -1;
	longer = curl_slist_append(x->headers, line);
	free(line);
	if (longer == NULL)
		return -1;
	x->headers = longer;
	return 0;
}

static int
set_headers(struct transfer *x, const struct transfer_call *call)
{
	/* An empty value keeps libcurl from sending one of its own. */
	bool typed = false;
	int rc = 0;

	for (size_t i = 0; i < call->header_count; i++) {
		const struct transfer_header *h = &call->headers[i];

		typed |= strcasecmp(h->name, "Content-Type") == 0;
		rc |= add_header(x, h->name, h->value);
	}
	/* Lengths and ranges would be those of something else. */
	rc |= add_header(x, "Accept-Encoding", "identity");
	rc |= add_header(x, "Expect", "");
	if (!typed)
		rc |= add_header(x, "Content-Type", "");
	if (call->host_header != NULL)
		rc |= add_header(x, "Host", call->host_header);
	curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
	return rc;
}

static void
set_method(struct transfer *x, const struct transfer_call *call)
{
	CURL *h = x->easy;

	if (strcmp(call->method, "HEAD") == 0) {
		curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
	} else if (call->upload != NULL) {
		curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(h, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(h, CURLOPT_READDATA, x);
		curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE,
				 (curl_off_t)call->upload_len);
		curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, call->method);
	} else if (call->body != NULL) {
		curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)call->body_len);
		curl_easy_setopt(h, CURLOPT_COPYPOSTFIELDS, call->body);
		curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, call->method);
	} else if (strcmp(call->method, "GET") != 0) {
		curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, call->method);
	}
}

static void
set_connection(struct transfer *x)
{
	const struct config *c = x->engine->config;
	const char *proxy = x->trusted ? "" : c->source_proxy;
	CURL *h = x->easy;

	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	/* URLs come as they must be sent: in an S3 key ".." is a name. */
	curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
	/* "" also keeps libcurl from the proxy variables. */
	curl_easy_setopt(h, CURLOPT_PROXY, proxy);
	curl_easy_setopt(h, CURLOPT_NOPROXY, "");
	curl_easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)c->connect_timeout_ms);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h, CURLOPT_SHARE, x->engine->share);
	curl_easy_setopt(h, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
	/* What a proxy connects to is the proxy's to rule. */
	if (proxy[0] != '\0')
		x->trusted = true;
	curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, x);
	curl_easy_setopt(h, CURLOPT_PREREQFUNCTION, on_request);
	curl_easy_setopt(h, CURLOPT_PREREQDATA, x);
}

/*
 * HTTP/2 for the brief alone: libcurl 7.88 goes on reading for a paused
 * stream of a shared connection and keeps it all, so that reading ahead would
 * have no bound (tried: 38 MB where HTTP/1.1 takes 4).  Many small files are
 * what gains by it: they wait for the first handshake instead of making one
 * each.
 */
static void
set_version(struct transfer *x, const struct transfer_call *call)
{
	bool shares = call->brief && strncmp(call->url, "https:", 6) == 0;

	curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION,
			 shares ? (long)CURL_HTTP_VERSION_2TLS
				: (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(x->easy, CURLOPT_PIPEWAIT, shares ? 1L : 0L);
}

static int
configure(struct transfer *x, const struct transfer_call *call)
{
	CURL *h = x->easy;

	set_connection(x);
	curl_easy_setopt(h, CURLOPT_BUFFERSIZE,
			 x->bulk ? (long)READ_SIZE_BULK : (long)READ_SIZE);
	curl_easy_setopt(h, CURLOPT_FRESH_CONNECT, call->once ? 1L : 0L);
	set_version(x, call);
	set_method(x, call);
	curl_easy_setopt(h, CURLOPT_PRIVATE, x);
	curl_easy_setopt(h, CURLOPT_USERAGENT, "ZipStream/" ZIPSTREAM_VERSION);
	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(h, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, x);
	if (curl_easy_setopt(h, CURLOPT_URL, call->url) != CURLE_OK)
		return -1;
	return set_headers(x, call);
}

static CURL *
take_handle(struct transfer_engine *t, bool bulk)
{
	return t->idle_count > 0 && !bulk ? t->idle[--t->idle_count]
					  : curl_easy_init();
}

struct transfer *
transfer_start(struct transfer_engine *t, const struct transfer_call *call,
	       const struct transfer_events *ev, void *ctx, struct error *e)
{
	struct transfer *x = calloc(1, sizeof(*x));

	if (x == NULL || (x->easy = take_handle(t, call->bulk)) == NULL) {
		free(x);
		error_memory(e);
		return NULL;
	}
	x->engine = t;
	x->ev = *ev;
	x->ctx = ctx;
	x->trusted = call->trusted;
	x->bodiless = strcmp(call->method, "HEAD") == 0;
	x->bulk = call->bulk;
	x->upload = call->upload;
	x->upload_ctx = call->upload_ctx != NULL ? call->upload_ctx : ctx;
	x->next = t->active;
	if (x->next != NULL)
		x->next->prev = x;
	t->active = x;
	if (configure(x, call) != 0 ||
	    curl_multi_add_handle(t->multi, x->easy) != CURLM_OK) {
		transfer_free(x);
		error_set(e, ERROR_INTERNAL, "A request cannot be made");
		return NULL;
	}
	t->settled = false;
	return x;
}

void
transfer_unpause(struct transfer *x)
{
	if (!x->paused)
		return;
	x->unpause = true;
	x->engine->settled = false;
}

void
transfer_cancel(struct transfer *x)
{
	transfer_free(x);
}

/* Ends */

struct ending {
	CURLcode code;
	enum transfer_end end;
	const char *reason;
};

static const struct ending endings[] = {
	{ CURLE_OK, TRANSFER_OK, "" },
	{ CURLE_COULDNT_RESOLVE_HOST, TRANSFER_RESOLVE, "name not found" },
	{ CURLE_COULDNT_RESOLVE_PROXY, TRANSFER_RESOLVE, "proxy not found" },
	{ CURLE_COULDNT_CONNECT, TRANSFER_CONNECT, "cannot be connected to" },
	{ CURLE_OPERATION_TIMEDOUT, TRANSFER_TIMEOUT, "connecting timed out" },
	{ CURLE_PEER_FAILED_VERIFICATION, TRANSFER_CONNECT,
	  "its certificate is not trusted" },
	{ CURLE_SSL_CONNECT_ERROR, TRANSFER_CONNECT, "TLS failed" },
	{ CURLE_SSL_CACERT_BADFILE, TRANSFER_CONNECT, "no CA certificates" },
	{ CURLE_PARTIAL_FILE, TRANSFER_BROKEN, "broke off" },
	{ CURLE_GOT_NOTHING, TRANSFER_BROKEN, "closed without an answer" },
	{ CURLE_SEND_ERROR, TRANSFER_BROKEN, "broke off" },
	{ CURLE_RECV_ERROR, TRANSFER_BROKEN, "broke off" },
	{ CURLE_HTTP2, TRANSFER_BROKEN, "broke off" },
	{ CURLE_HTTP2_STREAM, TRANSFER_BROKEN, "broke off" },
	{ CURLE_WEIRD_SERVER_REPLY, TRANSFER_BROKEN, "sent no valid HTTP" },
	{ CURLE_UNSUPPORTED_PROTOCOL, TRANSFER_BROKEN, "sent no valid HTTP" },
	{ CURLE_WRITE_ERROR, TRANSFER_BROKEN, "sent a bad transfer coding" },
	{ CURLE_BAD_CONTENT_ENCODING, TRANSFER_BROKEN, "is badly encoded" },
	{ CURLE_OUT_OF_MEMORY, TRANSFER_FAILED, "out of memory" },
};

static struct ending
connect_ending(const struct transfer *x, struct ending known)
{
	long number = 0;

	curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &number);
	if (number == ECONNREFUSED)
		known.reason = "connection refused";
	else if (number == ENETUNREACH || number == EHOSTUNREACH)
		known.reason = "host unreachable";
	else if (number == ETIMEDOUT)
		known.reason = "connecting timed out";
	return known;
}

static struct ending
ending_of(const struct transfer *x, CURLcode code)
{
	if (x->stopped)
		return (struct ending){ code, TRANSFER_STOPPED, "stopped" };
	if (x->head_large)
		return (struct ending){ code, TRANSFER_BROKEN,
					"sent too large a head" };
	if (code != CURLE_OK && x->refused && !x->tried)
		return (struct ending){ code, TRANSFER_REFUSED,
					"its address is not allowed" };
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (endings[i].code != code)
			continue;
		return code == CURLE_COULDNT_CONNECT
			       ? connect_ending(x, endings[i])
			       : endings[i];
	}
	return (struct ending){ code, TRANSFER_FAILED, "the transfer failed" };
}

static void
finish(struct transfer *x, CURLcode code)
{
	struct ending end;

	if (code == CURLE_OK && x->watch != NULL &&
	    !crypto_watch_closed(x->watch))
		code = CURLE_RECV_ERROR;
	end = ending_of(x, code);
	if (code != CURLE_OK && !x->stopped)
		log_debug("transfer ended: %s", curl_easy_strerror(code));
	x->engine->moved = true;
	x->ev.done(x->ctx, end.end, end.reason);
	transfer_free(x);
}

/* Turns */

/*
 * Done here and not in transfer_unpause: libcurl delivers what it held back
 * from within curl_easy_pause, and takes no note when that delivery ends the
 * transfer.
 */
static void
unpause_all(struct transfer_engine *t)
{
	struct transfer *x = t->active, *next;
	CURLcode code;

	for (; x != NULL; x = next) {
		next = x->next;
		if (!x->unpause)
			continue;
		x->unpause = x->paused = false;
		code = curl_easy_pause(x->easy, CURLPAUSE_CONT);
		if (code == CURLE_OK)
			continue;
		finish(x, code);
		/* `done` may have ended others: begin anew. */
		next = t->active;
	}
}

static void
perform(struct transfer_engine *t)
{
	struct transfer *x;
	CURLMsg *m;
	CURLcode code;
	int n;

	t->moved = false;
	unpause_all(t);
	curl_multi_perform(t->multi, &n);
	while ((m = curl_multi_info_read(t->multi, &n)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		code = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
		finish(x, code);
	}
	t->settled = !t->moved;
}

/* Has the descriptor hung up?  Unread bytes are no hang-up, but would wake
 * every poll: they mute it. */
static bool
hung_up(struct transfer_engine *t, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };
	ssize_t n;
	char byte;

	t->watch_at = stats_now_ms();
	t->muted = -1;
	if (poll(&p, 1, 0) <= 0)
		return false;
	if ((p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0)
		return true;
	n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n == 0)
		return true;
	if (n < 0 && errno != ENOTSOCK)
		return errno != EAGAIN && errno != EINTR;
	t->muted = fd;
	return false;
}

static void
wait_for_more(struct transfer_engine *t, int watch_fd, int timeout_ms)
{
	struct curl_waitfd w = { .fd = watch_fd, .events = CURL_WAIT_POLLIN };
	bool watch = watch_fd >= 0 && watch_fd != t->muted;

	if (watch_fd >= 0 && !watch && timeout_ms > WATCH_MUTED_MS)
		timeout_ms = WATCH_MUTED_MS;
	curl_multi_poll(t->multi, watch ? &w : NULL, watch ? 1 : 0, timeout_ms,
			NULL);
	t->settled = false;
}

int
transfer_turn(struct transfer_engine *t, int watch_fd, int timeout_ms)
{
	if (timeout_ms <= 0 || !t->settled)
		perform(t);
	if (watch_fd >= 0 &&
	    (t->settled || stats_now_ms() - t->watch_at >= WATCH_BUSY_MS) &&
	    hung_up(t, watch_fd))
		return -1;
	if (timeout_ms > 0 && t->settled)
		wait_for_more(t, watch_fd, timeout_ms);
	return 0;
}
