/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Digests and the CA store; the only user of OpenSSL.
 */
#ifndef ZIPSTREAM_CRYPTO_H
#define ZIPSTREAM_CRYPTO_H

#include <stddef.h>

#include "error.h"

#define SHA256_BYTES 32
#define SHA256_HEX 65 /* with NUL */

struct crypto_sha256; /* a running digest */

struct crypto_sha256 *crypto_sha256_new(void); /* NULL: no memory */
void crypto_sha256_add(struct crypto_sha256 *d, const void *p, size_t n);
void crypto_sha256_end(struct crypto_sha256 *d,
		       unsigned char out[SHA256_BYTES]); /* frees it */

void crypto_sha256(const void *p, size_t n, unsigned char out[SHA256_BYTES]);
void crypto_hmac_sha256(const void *key, size_t key_len, const void *p,
			size_t n, unsigned char out[SHA256_BYTES]);
/* Lower-case hex with NUL; `out` holds 2n + 1 bytes. */
void crypto_hex(const unsigned char *p, size_t n, char *out);
/* n bytes in standard base64 with NUL; `out` holds CRYPTO_BASE64(n). */
#define CRYPTO_BASE64(n) (((n) + 2) / 3 * 4 + 1)
void crypto_base64_encode(const unsigned char *p, size_t n, char *out);
/* Standard base64 -> bytes; the count, or -1 when it is none. */
int crypto_base64_decode(const char *text, unsigned char *out, size_t size);

/* Bytes from the kernel's CSPRNG; -1 when it gives none. */
int crypto_random(void *p, size_t n);

/*
 * Loads the CA certificates once, in the parent; every TLS context made
 * later shares them copy-on-write.  `file` "" = the system's bundle.
 */
int crypto_ca_load(const char *file, struct error *e);
/* Puts the loaded store into an SSL_CTX (libcurl's hook passes it). */
int crypto_ca_share(void *ssl_ctx);

/*
 * Did the peer end a TLS connection as it should, by close_notify, and not
 * just TCP under it?  Only for connections whose SSL_CTX shares the loaded
 * store; NULL without memory.  Connection and watch may be freed in any order.
 */
struct crypto_watch;
struct crypto_watch *crypto_watch_close(void *ssl);
bool crypto_watch_closed(const struct crypto_watch *w);
void crypto_watch_free(struct crypto_watch *w);

#endif
