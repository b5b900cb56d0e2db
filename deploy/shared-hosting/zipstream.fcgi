#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# What Apache starts: the program, its libraries and the .env that lie beside
# this.
cd "${0%/*}" || exit 1
umask 077
export LD_LIBRARY_PATH=lib
exec ./zipstream --config .env
