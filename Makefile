# siskin: `make run` plays, `make test` proves. `make help` lists the rest.

PREFIX ?= /usr
DESTDIR ?=
# For make run: ARGS="--name Kitchen"; make bench: ARGS="--quick --write-readme"; make demo: ARGS=--wav.
ARGS ?=
CARGO ?= cargo
PEER := $(CURDIR)/target/peer/bin/librespot
# What can be left out of a build.
FEATURES := http mpris mqtt
SIM := $(CARGO) run --quiet --release --locked -p spotify-sim --bin spotify-sim --

.PHONY: help run build test test-peers bench chaos fuzz order demo lint install installed \
	uninstall \
	setup setup-test setup-chaos setup-fuzz

help:
	@echo "make run         install what is missing, build, and start the speaker"
	@echo "make test        install what is missing, build, and run every test"
	@echo "make demo        play a tune without account, phone or internet"
	@echo "make bench       measure against the published librespot 0.8.0"
	@echo "make test-peers  hold the simulated Spotify to the published librespot (takes minutes)"
	@echo "make chaos       break things one by one, and measure how long until all is right again"
	@echo "make fuzz        try to break what reads the bytes of others, a minute for each part"
	@echo "make order       find out anew which functions are used first (needs valgrind)"
	@echo "make lint        formatting and clippy, with every feature and with each one alone"
	@echo "make install     build, then copy to $(PREFIX) (with sudo where not root)"

setup:
	@scripts/setup.sh

setup-test:
	@scripts/setup.sh test

setup-chaos:
	@scripts/setup.sh chaos

setup-fuzz:
	@scripts/setup.sh fuzz

build: setup
	$(CARGO) build --release --locked

run: build
	target/release/siskin run $(ARGS)

# What is tested is the very binary that is shipped; the tests around it need no link-time
# optimisation, which would take longer than running them.
# Built outside the namespace, which hides nothing a build needs but is none of its business.
test: setup-test
	$(CARGO) build --release --locked
	$(CARGO) test --locked --workspace --no-run
	scripts/as-root.sh $(CARGO) test --locked --workspace

$(PEER):
	$(CARGO) install librespot --version 0.8.0 --locked --root target/peer \
		--target-dir target/peer/build --no-default-features \
		--features rustls-tls-native-roots,with-libmdns

test-peers: setup-test $(PEER)
	$(CARGO) test --locked -p spotify-sim --test 'peer*' --no-run
	SISKIN_PEER=$(PEER) scripts/as-root.sh $(CARGO) test --locked -p spotify-sim --test 'peer*'

bench: setup-test build $(PEER)
	$(CARGO) build --quiet --release --locked -p spotify-sim --bin spotify-sim
	SISKIN_PEER=$(PEER) scripts/as-root.sh $(SIM) bench $(ARGS)

# A thousand simulated years, then every fault ten times on the real binary, then (without ARGS)
# fifty rounds of some on one speaker each, to see what it loses: about an hour on two cores, less with more --jobs.
# ARGS="--rounds 1", ARGS="--soak 30", ARGS="--only dealer", ARGS="--resume" after an interruption.
# The debug build is for the one fault that needs symbols.
chaos: setup-chaos build $(PEER)
	SISKIN_SEEDS=1000 $(CARGO) test --release --locked --lib a_year_of_household_life
	$(CARGO) build --quiet --locked
	$(CARGO) build --quiet --release --locked -p spotify-sim --bin spotify-sim
	SISKIN_PEER=$(PEER) scripts/as-root.sh $(SIM) chaos --write $(ARGS)
	$(if $(ARGS),,scripts/as-root.sh $(SIM) chaos --write --leaks 50)

# With what an earlier run has learnt. ARGS="--seconds 600 --only vorbis --only mp3 --jobs 2".
fuzz: setup-fuzz
	CARGO=$(CARGO) scripts/fuzz.sh $(ARGS)

order: setup-test
	scripts/function-order.sh

demo: build
	$(SIM) demo $(ARGS)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	set -e; for features in "" $(FEATURES); do \
		echo "with no feature but: $$features"; \
		$(CARGO) clippy -p siskin --locked --no-default-features --features "$$features" -- -D warnings; \
	done

install: build
	@if [ "$$(id -u)" -ne 0 ] && [ -z "$(DESTDIR)" ]; then sudo=sudo; fi; set -ex; \
	$$sudo install -Dm755 target/release/siskin "$(DESTDIR)$(PREFIX)/bin/siskin"; \
	target/release/siskin man > target/siskin.1; \
	$$sudo install -Dm644 target/siskin.1 "$(DESTDIR)$(PREFIX)/share/man/man1/siskin.1"; \
	target/release/siskin completions bash > target/siskin.bash; \
	$$sudo install -Dm644 target/siskin.bash \
		"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/siskin"; \
	$$sudo install -Dm644 config.example.toml \
		"$(DESTDIR)$(PREFIX)/share/doc/siskin/config.example.toml"; \
	sed 's#/usr/bin/siskin#$(PREFIX)/bin/siskin#' contrib/systemd/siskin.service \
		> target/siskin.service; \
	$$sudo install -Dm644 target/siskin.service \
		"$(DESTDIR)/usr/lib/systemd/system/siskin.service"; \
	sed 's#/usr/bin/siskin#$(PREFIX)/bin/siskin#' contrib/systemd/user/siskin.service \
		> target/siskin.user.service; \
	$$sudo install -Dm644 target/siskin.user.service \
		"$(DESTDIR)/usr/lib/systemd/user/siskin.service"
	@$(MAKE) --no-print-directory installed

# What is left to do; an upgrade leaves the old program running until it is told.
installed:
	@if systemctl is-active --quiet siskin 2>/dev/null; then \
		echo "the siskin that runs is still the old one:" \
			"sudo systemctl daemon-reload && sudo systemctl restart siskin"; \
	else \
		echo "start it now and at every boot: sudo systemctl enable --now siskin"; \
	fi

uninstall:
	@if [ "$$(id -u)" -ne 0 ] && [ -z "$(DESTDIR)" ]; then sudo=sudo; fi; set -ex; \
	$$sudo rm -f "$(DESTDIR)$(PREFIX)/bin/siskin" \
		"$(DESTDIR)$(PREFIX)/share/man/man1/siskin.1" \
		"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/siskin" \
		"$(DESTDIR)$(PREFIX)/share/doc/siskin/config.example.toml" \
		"$(DESTDIR)/usr/lib/systemd/system/siskin.service" \
		"$(DESTDIR)/usr/lib/systemd/user/siskin.service"
