/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From a signal to a descriptor that polls like a client who has left. */
#include "hangup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int alive[2] = { -1, -1 };
static volatile sig_atomic_t hung_up;

static void
on_signal(int sig)
{
	(void)sig;
	if (hung_up)
		return;
	hung_up = 1;
	close(alive[1]);
}

int
hangup_on(const int *signals, size_t n, int flags, struct error *e)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	if (pipe2(alive, O_CLOEXEC) == -1)
		return error_set(e, ERROR_INTERNAL, "No pipe: %s",
				 strerror(errno));
	for (size_t i = 0; i < n; i++)
		sigaction(signals[i], &sa, NULL);
	return alive[0];
}
