/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Which network addresses a source may live at.
 *
 * Checked on the resolved address at connect time, on every connection, so
 * that neither DNS nor a redirect leads around it.  Not public, unless
 * ALLOW_PRIVATE_NETWORKS names it: IANA's special-purpose registries for IPv4
 * and IPv6 (loopback, private, shared, link-local, multicast, reserved,
 * documentation, unique-local ...) and every form that carries an IPv4
 * address inside an IPv6 one (mapped, compatible, 6to4, Teredo, NAT64).
 */
#ifndef ZIPSTREAM_ADDRESS_H
#define ZIPSTREAM_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* A parsed list of CIDRs. */
struct address_list;

/* NULL when `text` (separated by commas or spaces) has a bad entry, which
 * *bad then names (malloc'ed), or when there is no memory. "" is valid. */
struct address_list *address_list_parse(const char *text, char **bad);
void address_list_free(struct address_list *l);
/* Is the address on the list?  False when the text is none. */
bool address_list_has_text(const struct address_list *l, const char *text);

/* Is it reachable on the public internet, by the rules above? */
bool address_is_public(const struct sockaddr *sa);

/* public, or on the list. */
bool address_allowed(const struct address_list *l, const struct sockaddr *sa);

/* An address in text form, port 0; false when it is none. */
bool address_from_text(const char *text, struct sockaddr_storage *out);

/* For log lines: "127.0.0.1:80"; `out` holds 64 bytes. */
void address_format(const struct sockaddr *sa, char *out, size_t size);

#endif
