# SPDX-License-Identifier: AGPL-3.0-or-later
# ZipStream: `make help` lists the targets; `make V=1` shows the commands.

VERSION = 0.1.0

# For packagers.
CC = gcc
CFLAGS = -O2 -g
LDFLAGS =
PREFIX = /usr/local
DESTDIR =
SANITIZER =# address | undefined | address,undefined
WERROR = $(if $(filter true,$(CI)),1)
ISAL = 1# 0: build without Intel ISA-L
COVERAGE =# 1: instrumented for gcov
FUZZ_TIME = 60# seconds for each fuzz target
JOBS = $(shell nproc 2>/dev/null || echo 1)
V = 0

comma := ,
# Each kind of build has a folder of its own, so that they never mix.
kind = $(if $(COVERAGE),coverage,$(subst $(comma),-,$(strip $(SANITIZER))))
B = $(patsubst %/,%,build/$(kind))
GEN = build/gen
PYTHON = /usr/bin/python3

PACKAGES = libcurl libpq json-c zlib openssl sqlite3 libutf8proc fcgi \
	$(if $(filter 0,$(ISAL)),,libisal)
# Quiet where pkg-config is missing: the rule of $(B)/flags says what to do.
pkg = $(shell pkg-config $(1) $(PACKAGES) 2>/dev/null)
pkg_cflags := $(call pkg,--cflags)
pkg_libs := $(call pkg,--libs) -lm

warnings = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla \
	-Wimplicit-fallthrough -Wundef $(if $(WERROR),-Werror)
# FORTIFY_SOURCE needs optimisation and blinds the sanitizers.
hardening = -fPIE -fstack-protector-strong -fstack-clash-protection \
	$(if $(filter x86_64,$(shell uname -m)),-fcf-protection) \
	$(if $(kind),,-D_FORTIFY_SOURCE=2)
instruments = $(if $(SANITIZER),-fsanitize=$(SANITIZER) \
	-fno-sanitize-recover=all -fno-omit-frame-pointer) \
	$(if $(COVERAGE),--coverage -O0 -DCOVERAGE)

cppflags = -D_GNU_SOURCE -DZIPSTREAM_VERSION='"$(VERSION)"' \
	$(if $(filter 0,$(ISAL)),,-DHAVE_ISAL) $(if $(kind),-DINSTRUMENTED) \
	-Iinclude -I$(GEN) \
	$(pkg_cflags) $(CPPFLAGS)
cflags = -std=gnu17 $(warnings) $(hardening) $(CFLAGS) $(instruments)
ldflags = -pie -Wl,-z,relro,-z,now,--as-needed $(CFLAGS) $(instruments) \
	$(LDFLAGS)

sources = $(sort $(wildcard src/*.c))
edge = $(sort $(wildcard fcgi/*.c))
units = $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/*.c)))
fuzzers = $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
web = $(sort $(wildcard web/*))
manuals = $(sort $(wildcard man/*.[1-8]))
headers = $(sort $(wildcard include/*.h src/*.h fcgi/*.h))
own_c = $(sources) $(edge) $(headers) \
	$(sort $(wildcard tests/unit/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch]))
generated = $(GEN)/sql_sqlite.h $(GEN)/sql_postgres.h \
	$(foreach f,$(web),$(GEN)/web_$(subst .,_,$(notdir $f)).h)

objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
Q = $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))
submake = $(MAKE) --no-print-directory
root = $(DESTDIR)$(PREFIX)
completions = $(root)/share/bash-completion/completions
# Debian's own place is /lib; elsewhere systemd looks below PREFIX.
unitdir = $(root)/lib/systemd/system
units_systemd = $(sort $(wildcard deploy/systemd/zipstream.*))

all: $(B)/zipstream ## build the program (default)

$(B)/zipstream: $(call objects,$(edge)) $(B)/libzipstream.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ldflags) -o $@ $^ $(pkg_libs)

$(B)/libzipstream.a: $(call objects,$(sources))
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/obj/%.o: %.c $(B)/flags | $(generated)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(cppflags) $(cflags) -MMD -MP -c -o $@ $<

# Rewritten, and so newer than every object, when a flag has changed.
$(B)/flags: FORCE
	$(Q)pkg-config --exists $(PACKAGES) || { \
		echo 'Libraries are missing: `make deps` installs them.'; \
		exit 1; }
	$(Q)mkdir -p $(B); printf '%s\n' '$(subst ','\'',$(CC) $(cppflags) \
		$(cflags) $(ldflags) $(pkg_libs))' > $@.new; \
		cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# Text that the program carries: schema steps, statements, the web page.
.SECONDEXPANSION:
$(GEN)/sql_%.h: tools/embed $$(wildcard sql/$$*/*.sql) $$(wildcard sql/$$*)
	$(call say,EMBED,$@)
	$(Q)mkdir -p $(GEN) && tools/embed sql $* sql/$*/*.sql > $@.new && \
		mv $@.new $@

define web_rule
$(GEN)/web_$(subst .,_,$(notdir $(1))).h: $(1) tools/embed
	$$(call say,EMBED,$$@)
	$$(Q)mkdir -p $(GEN) && tools/embed file $$(basename $$(@F)) $$< \
		> $$@.new && mv $$@.new $$@
endef
$(foreach f,$(web),$(eval $(call web_rule,$f)))

shared-hosting: all ## a folder to upload, with libraries, in build/
	$(Q)tools/shared-hosting $(B)/zipstream build/shared-hosting

## Tests

# The suite finds the program to test, and helpers beside it, by this name.
# A file's tests share what they start, so they stay in one process.
pytest = ZIPSTREAM=$(B)/zipstream $(PYTHON) -m pytest -q \
	-n $(JOBS) --dist loadfile
# Under the sanitizers: what sends our code the most different input, or with
# WHOLE=1 all but what runs nothing that they could watch, or, for the readers,
# no more of it than the unit tests do.
unwatched = 56_completion 65_install zip_readers
sanitized = $(if $(WHOLE),$(filter-out \
	$(unwatched:%=tests/service/test_%.py),\
	$(sort $(wildcard tests/service/test_*.py))),\
	$(wildcard tests/service/test_[0-3]*.py \
	tests/service/test_5[05]*.py tests/service/test_9[0-2]*s.py))
suite = $(if $(SANITIZER),$(sanitized),tests/service)

$(B)/tests/%: $(B)/obj/tests/unit/%.o $(B)/libzipstream.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ldflags) -o $@ $(filter %.o,$^) \
		$(filter %.a,$^) $(pkg_libs) -lcmocka

# What these test lives at the edge.
$(B)/tests/test_pool $(B)/tests/test_head $(B)/tests/test_fence \
$(B)/tests/test_keeper \
build/fuzz/fuzz_fastcgi: \
	$(call objects,$(filter-out fcgi/main.c,$(edge)))

# Where allocations fail when it says so.
$(B)/tests/test_memory: ldflags += \
	$(foreach f,malloc calloc realloc strdup strndup,-Wl$(comma)--wrap=$f)

check: deps-test ## install what is missing, run the tests, sanitizers too
	$(Q)$(submake) check-once
	$(Q)$(submake) check-once SANITIZER=address,undefined
	$(Q)$(submake) fuzz FUZZ_TIME=2

check-once:
	$(Q)$(submake) -j$(JOBS) all unit-tests
	$(Q)$(submake) check-unit
	$(Q)$(submake) check-service

unit-tests: $(units:%=$(B)/tests/%)

check-unit: unit-tests ## the unit tests alone
	$(Q)tools/run-unit-tests $(patsubst %,$(B)/tests/%,\
		$(filter test_%,$(units)))

check-service: all unit-tests ## the service suite; PYTEST_ARGS narrows it
	$(Q)$(pytest) $(suite) $(PYTEST_ARGS)

check-long: all unit-tests ## the service suite, slow tests too
	$(Q)$(pytest) tests/service --long $(PYTEST_ARGS)

asan: ## all tests that both sanitizers can watch
	$(Q)$(submake) check-once WHOLE=1 SANITIZER=address,undefined

coverage: deps-test ## what the tests reach: build/coverage/index.html
	$(Q)tools/install-packages coverage
	$(Q)$(submake) check-once COVERAGE=1
	$(Q)gcovr -r . --object-directory build/coverage -e tests/ \
		--html-details build/coverage/index.html --print-summary

fuzz: ## FUZZ_TIME seconds of each tests/fuzz/fuzz_*.c
	$(Q)tools/install-packages build fuzz
	$(Q)$(submake) -s -j$(JOBS) CC=clang WERROR= fuzz-targets \
		SANITIZER=fuzzer-no-link$(comma)address$(comma)undefined
	$(Q)tools/run-fuzzers $(FUZZ_TIME) $(fuzzers)

fuzz-targets: $(fuzzers:%=build/fuzz/%)

build/fuzz/%: $(B)/obj/tests/fuzz/%.o $(B)/libzipstream.a
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ldflags) -fsanitize=fuzzer -o $@ \
		$(filter %.o,$^) $(filter %.a,$^) $(pkg_libs)

bench: all ## compare with other programs on this machine
	$(Q)tests/bench/run

lint: deps-lint format-check ## everything a machine can say about the source
	$(Q)cppcheck -q -j$(JOBS) --error-exitcode=1 --inline-suppr \
		--enable=warning,performance,portability \
		--suppress=missingIncludeSystem --std=c11 -D_GNU_SOURCE \
		-Iinclude $(sources) $(edge)
	$(Q)shellcheck -S warning $$(grep -lE '^#!/bin/(ba)?sh' tools/* .ci/run)
	$(Q)tools/lint
	$(Q)mandoc -T lint -W warning $(manuals)

format: ## let clang-format lay out the C files
	$(Q)clang-format -i $(own_c)

format-check:
	$(Q)clang-format --dry-run --Werror $(own_c)

## Running and installing

deps: ## install the packages that building and running need
	$(Q)tools/install-packages build run

deps-test: ## and those that the tests need
	$(Q)tools/install-packages build run test

deps-lint:
	$(Q)tools/install-packages lint

run: deps ## serve on http://localhost:4040 (PORT=) until Ctrl-C
	$(Q)$(submake) -j$(JOBS) all
	$(Q)tools/run $(B)/zipstream

man: ## format the manual pages to build/man
	$(Q)mkdir -p build/man; for m in $(manuals); do \
		mandoc -T utf8 $$m > build/man/$${m##*/}.txt; done

install: all ## install under DESTDIR and PREFIX
	$(Q)install -Dm755 $(B)/zipstream $(root)/bin/zipstream
	$(Q)install -Dm644 -t $(root)/share/doc/zipstream \
		deploy/zipstream.env.sample
	$(Q)install -Dm644 -t $(root)/share/doc/zipstream/grafana \
		deploy/grafana/zipstream.json
	$(Q)for m in $(manuals); do install -Dm644 -t \
		$(root)/share/man/man$${m##*.} $$m; done
	$(Q)install -Dm644 deploy/completion/zipstream.bash \
		$(completions)/zipstream
	$(Q)for u in $(units_systemd); do install -d $(unitdir) && \
		sed 's|/usr/local/bin/|$(PREFIX)/bin/|' $$u \
		> $(unitdir)/$${u##*/}; done

uninstall: ## remove what install put there
	$(Q)rm -rf $(root)/bin/zipstream $(root)/share/doc/zipstream \
		$(completions)/zipstream
	$(Q)for m in $(manuals); do rm -f \
		$(root)/share/man/man$${m##*.}/$${m#*/}; done
	$(Q)for u in $(units_systemd); do rm -f $(unitdir)/$${u##*/}; done

deb: ## build/zipstream_VERSION_ARCH.deb; DEBFULLNAME, DEBEMAIL: whose
	$(Q)tools/install-packages build deb
	$(Q)$(submake) all
	$(Q)tools/make-deb $(VERSION)

dist: ## a tarball of the last commit
	$(Q)mkdir -p build && git archive --prefix=zipstream-$(VERSION)/ \
		-o build/zipstream-$(VERSION).tar.gz HEAD
	@echo build/zipstream-$(VERSION).tar.gz

clean: ## remove build/
	$(Q)rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' \
		$(firstword $(MAKEFILE_LIST))

FORCE:
.PHONY: all check check-once unit-tests check-unit check-service check-long \
	asan coverage fuzz fuzz-targets bench lint format format-check \
	deps deps-test deps-lint run man install uninstall deb dist clean help \
	shared-hosting FORCE
.SECONDARY:
.DELETE_ON_ERROR:

-include $(patsubst %.c,$(B)/obj/%.d,$(sources) $(edge) \
	$(units:%=tests/unit/%.c) $(fuzzers:%=tests/fuzz/%.c))
