/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Which network addresses a source may live at.
 *
 * Every address is looked at as 16 bytes: IPv4 as its mapped IPv6 form, so
 * that 127.0.0.1 and ::ffff:127.0.0.1 cannot be told apart.
 */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cidr {
	unsigned char bytes[16];
	unsigned bits;
};

struct address_list {
	size_t count;
	struct cidr entries[];
};

#define MAPPED 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
#define V4(a, b, c, d, bits)                                                   \
	{                                                                      \
		{ MAPPED, a, b, c, d }, 96 + (bits)                            \
	}

/* IANA IPv4 special-purpose registry (RFC 6890 and its updates), and what
 * lies outside of unicast. */
static const struct cidr special_v4[] = {
	V4(0, 0, 0, 0, 8),	  /* this network */
	V4(10, 0, 0, 0, 8),	  /* private */
	V4(100, 64, 0, 0, 10),	  /* shared: carrier-grade NAT */
	V4(127, 0, 0, 0, 8),	  /* loopback */
	V4(168, 63, 129, 16, 32), /* Azure's host, though it looks public */
	V4(169, 254, 0, 0, 16),	  /* link-local, metadata services */
	V4(172, 16, 0, 0, 12),	  /* private */
	V4(192, 0, 0, 0, 24),	  /* protocol assignments, metadata */
	V4(192, 0, 2, 0, 24),	  /* documentation */
	V4(192, 88, 99, 0, 24),	  /* 6to4 relays, deprecated */
	V4(192, 168, 0, 0, 16),	  /* private */
	V4(198, 18, 0, 0, 15),	  /* benchmarks */
	V4(198, 51, 100, 0, 24),  /* documentation */
	V4(203, 0, 113, 0, 24),	  /* documentation */
	V4(224, 0, 0, 0, 4),	  /* multicast */
	V4(240, 0, 0, 0, 4),	  /* reserved, broadcast */
};

/* Global unicast is 2000::/3 alone; these are the exceptions within it. */
static const struct cidr global_v6 = { { 0x20 }, 3 };
static const struct cidr special_v6[] = {
	{ { 0x20, 0x01, 0x00 }, 23 },	    /* protocols, Teredo, ORCHID */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation */
	{ { 0x20, 0x02 }, 16 },		    /* 6to4 carries any IPv4 */
	{ { 0x3f, 0xff, 0x00 }, 20 },	    /* documentation, RFC 9637 */
};

/* The well-known NAT64 prefix, RFC 6052: how hosts without IPv4 reach the
 * public IPv4 internet; as good as the address it carries. */
static const struct cidr nat64 = { { 0x00, 0x64, 0xff, 0x9b }, 96 };
static const struct cidr mapped = { { MAPPED }, 96 };

static bool
cidr_has(const struct cidr *c, const unsigned char *b)
{
	unsigned whole = c->bits / 8, rest = c->bits % 8;

	if (memcmp(c->bytes, b, whole) != 0)
		return false;
	return rest == 0 || (c->bytes[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool
any_has(const struct cidr *c, size_t n, const unsigned char *b)
{
	for (size_t i = 0; i < n; i++) {
		if (cidr_has(&c[i], b))
			return true;
	}
	return false;
}

static void
map_v4(const void *v4, unsigned char *out)
{
	memcpy(out, mapped.bytes, 12);
	memcpy(out + 12, v4, 4);
}

/* false: neither IPv4 nor IPv6. */
static bool
from_sockaddr(const struct sockaddr *sa, unsigned char *out)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sa->sa_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		map_v4(&v4.sin_addr, out);
		return true;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&v6, sa, sizeof(v6));
	memcpy(out, &v6.sin6_addr, 16);
	return true;
}

/* *bits: how long a prefix may be in this form; 0: no address. */
static unsigned
from_text(const char *text, unsigned char *out)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		map_v4(&v4, out);
		return 32;
	}
	return inet_pton(AF_INET6, text, out) == 1 ? 128 : 0;
}

/* "10.0.0.0/8" or one address; n bytes of text. */
static int
cidr_parse(const char *text, size_t n, struct cidr *c)
{
	char copy[INET6_ADDRSTRLEN + 5];
	char *slash, *end;
	unsigned longest;
	unsigned long bits;

	if (n >= sizeof(copy))
		return -1;
	memcpy(copy, text, n);
	copy[n] = '\0';
	slash = strchr(copy, '/');
	if (slash != NULL)
		*slash = '\0';
	longest = from_text(copy, c->bytes);
	if (longest == 0)
		return -1;
	bits = longest;
	if (slash != NULL) {
		if (slash[1] < '0' || slash[1] > '9')
			return -1;
		bits = strtoul(slash + 1, &end, 10);
		if (*end != '\0' || bits > longest)
			return -1;
	}
	c->bits = (unsigned)bits + (longest == 32 ? 96 : 0);
	return 0;
}

struct address_list *
address_list_parse(const char *text, char **bad)
{
	static const char blanks[] = ", \t";
	/* No entry is shorter than "::" and what separates it. */
	size_t most = strlen(text) / 3 + 1;
	struct address_list *l =
		calloc(1, sizeof(*l) + most * sizeof(struct cidr));
	size_t n;

	*bad = NULL;
	if (l == NULL)
		return NULL;
	for (text += strspn(text, blanks); *text != '\0';
	     text += n + strspn(text + n, blanks)) {
		n = strcspn(text, blanks);
		if (n >= 2 && cidr_parse(text, n, &l->entries[l->count]) == 0) {
			l->count++;
			continue;
		}
		*bad = strndup(text, n);
		free(l);
		return NULL;
	}
	return l;
}

void
address_list_free(struct address_list *l)
{
	free(l);
}

static bool
list_has(const struct address_list *l, const struct sockaddr *sa)
{
	unsigned char b[16];

	return l != NULL && from_sockaddr(sa, b) &&
	       any_has(l->entries, l->count, b);
}

bool
address_list_has_text(const struct address_list *l, const char *text)
{
	unsigned char b[16];

	return l != NULL && from_text(text, b) != 0 &&
	       any_has(l->entries, l->count, b);
}

/* An ISATAP interface identifier (RFC 5214) carries an IPv4 address. */
static bool
is_isatap(const unsigned char *b)
{
	return (b[8] & 0xfd) == 0 && b[9] == 0 && b[10] == 0x5e &&
	       b[11] == 0xfe;
}

static bool
is_public(const unsigned char *b)
{
	unsigned char carried[16];

	if (cidr_has(&mapped, b))
		return !any_has(special_v4,
				sizeof(special_v4) / sizeof(special_v4[0]), b);
	if (cidr_has(&nat64, b)) {
		map_v4(b + 12, carried);
		return is_public(carried);
	}
	return cidr_has(&global_v6, b) && !is_isatap(b) &&
	       !any_has(special_v6, sizeof(special_v6) / sizeof(special_v6[0]),
			b);
}

bool
address_is_public(const struct sockaddr *sa)
{
	unsigned char b[16];

	return from_sockaddr(sa, b) && is_public(b);
}

bool
address_allowed(const struct address_list *l, const struct sockaddr *sa)
{
	return address_is_public(sa) || list_has(l, sa);
}

bool
address_from_text(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	/* IPv4 stays in its mapped form: the rules see no difference. */
	if (from_text(text, v6.sin6_addr.s6_addr) == 0)
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out, &v6, sizeof(v6));
	return true;
}

void
address_format(const struct sockaddr *sa, char *out, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sa->sa_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
		snprintf(out, size, "%s:%u", text, ntohs(v4.sin_port));
	} else if (sa->sa_family == AF_INET6) {
		memcpy(&v6, sa, sizeof(v6));
		inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
		snprintf(out, size, "[%s]:%u", text, ntohs(v6.sin6_port));
	} else {
		snprintf(out, size, "family %d", sa->sa_family);
	}
}
