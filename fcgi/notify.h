/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Tells systemd how the service is, sd_notify(3); nothing without it. */
#ifndef ZIPSTREAM_NOTIFY_H
#define ZIPSTREAM_NOTIFY_H

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

#endif
