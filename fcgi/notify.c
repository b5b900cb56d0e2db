/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* systemd's notification protocol: one datagram a message, no library. */
#include "notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void
notify(const char *message)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t n = path != NULL ? strlen(path) : 0;
	socklen_t length =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	int fd;

	if (n < 2 || n >= sizeof(sa.sun_path))
		return;
	memcpy(sa.sun_path, path, n);
	if (sa.sun_path[0] == '@') /* an abstract address */
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	sendto(fd, message, strlen(message), MSG_NOSIGNAL,
	       (struct sockaddr *)&sa, length);
	close(fd);
}

void
notify_ready(void)
{
	notify("READY=1");
}

void
notify_reloading(void)
{
	struct timespec t;
	char message[64];

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
	notify(message);
}

void
notify_stopping(void)
{
	notify("STOPPING=1");
}
