#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# What mod_fcgid starts: the program with its settings.
exec /usr/local/bin/zipstream --config /etc/zipstream/zipstream.env
