/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which names and media types are compressed already, and which shrink. */
#include "media.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char *const packed_names[] = {
	"7z",	"aac",	 "apk",	 "avif", "avi",	 "br",	 "bz2",	 "cab",	 "docx",
	"epub", "flac",	 "flv",	 "gif",	 "gz",	 "heic", "heif", "ipa",	 "jar",
	"jpe",	"jpeg",	 "jpg",	 "jxl",	 "lz",	 "lz4",	 "lzma", "m2ts", "m4a",
	"m4v",	"mkv",	 "mov",	 "mp3",	 "mp4",	 "mpeg", "mpg",	 "odp",	 "ods",
	"odt",	"oga",	 "ogg",	 "ogv",	 "opus", "pdf",	 "png",	 "pptx", "rar",
	"tbz2", "tgz",	 "txz",	 "war",	 "webm", "webp", "whl",	 "wma",	 "wmv",
	"woff", "woff2", "xlsx", "xz",	 "zip",	 "zst",	 NULL
};

static const char *const textual_names[] = {
	"asc",	  "bmp",     "c",    "cfg",   "conf", "cpp",  "css", "csv",
	"eps",	  "geojson", "go",   "h",     "htm",  "html", "ics", "ini",
	"java",	  "js",	     "json", "jsonl", "kml",  "log",  "md",  "mjs",
	"ndjson", "pgm",     "php",  "pl",    "ply",  "ppm",  "ps",  "py",
	"rb",	  "rs",	     "rst",  "rtf",   "sh",   "sql",  "srt", "stl",
	"svg",	  "tex",     "toml", "ts",    "tsv",  "txt",  "vcf", "vtt",
	"xhtml",  "xml",     "yaml", "yml",   NULL
};

/* A trailing '*' matches any rest. */
static const char *const packed_types[] = { "image/jpeg",
					    "image/png",
					    "image/gif",
					    "image/webp",
					    "image/avif",
					    "image/heic",
					    "video/*",
					    "audio/mpeg",
					    "audio/mp4",
					    "audio/ogg",
					    "audio/aac",
					    "audio/flac",
					    "font/woff*",
					    "application/zip",
					    "application/gzip",
					    "application/x-gzip",
					    "application/x-bzip2",
					    "application/x-xz",
					    "application/zstd",
					    "application/x-7z-compressed",
					    "application/vnd.rar",
					    "application/java-archive",
					    "application/pdf",
					    "application/epub+zip",
					    "application/vnd.openxmlformats*",
					    "application/vnd.oasis*",
					    NULL };

static const char *const textual_types[] = { "text/*",
					     "image/svg+xml",
					     "image/bmp",
					     "application/json",
					     "application/ld+json",
					     "application/geo+json",
					     "application/x-ndjson",
					     "application/xml",
					     "application/xhtml+xml",
					     "application/javascript",
					     "application/sql",
					     "application/rtf",
					     "application/yaml",
					     NULL };

static int
listed(const char *const *list, const char *word)
{
	for (; *list != NULL; list++) {
		if (strcasecmp(*list, word) == 0)
			return 1;
	}
	return 0;
}

static int
type_listed(const char *const *list, const char *type, size_t n)
{
	size_t len;

	for (; *list != NULL; list++) {
		len = strlen(*list);
		if ((*list)[len - 1] == '*' && n >= len - 1 &&
		    strncasecmp(*list, type, len - 1) == 0)
			return 1;
		if (len == n && strncasecmp(*list, type, n) == 0)
			return 1;
	}
	return 0;
}

enum media_class
media_by_name(const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *dot = strrchr(slash != NULL ? slash : name, '.');

	if (dot == NULL)
		return MEDIA_UNKNOWN;
	if (listed(packed_names, dot + 1))
		return MEDIA_PACKED;
	if (listed(textual_names, dot + 1))
		return MEDIA_TEXTUAL;
	return MEDIA_UNKNOWN;
}

enum media_class
media_by_type(const char *content_type)
{
	size_t n = strcspn(content_type, "; \t");

	if (type_listed(packed_types, content_type, n))
		return MEDIA_PACKED;
	if (type_listed(textual_types, content_type, n))
		return MEDIA_TEXTUAL;
	return MEDIA_UNKNOWN;
}
