#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# curl.sh SERVICE OUT.zip LINK...: zips the links into a file.
#
#	curl.sh http://localhost:4040 photos.zip https://example.com/{1,2}.jpg
#
# ZIPSTREAM_KEY is the API key, where the service asks for one.  curl's exit
# status says whether the zip came whole.
set -eu
service=${1%/}
out=$2
shift 2

# Links hold no quotes and no backslashes: they are escaped in URLs.
files=
for link; do
	files="$files${files:+,}{\"src\":\"$link\"}"
done

code=$(curl -sS -o "$out" -w '%{http_code}' \
	${ZIPSTREAM_KEY:+-H "X-Api-Key: $ZIPSTREAM_KEY"} \
	-H 'Content-Type: application/json' -d "{\"files\":[$files]}" \
	"$service/bundle") || {
	status=$?
	rm -f "$out" # what is there is not whole
	exit "$status"
}
if [ "$code" != 200 ]; then
	cat "$out" >&2 # what is wrong, as JSON
	rm -f "$out"
	exit 1
fi
