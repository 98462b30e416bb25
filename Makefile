# `make demo` and `make test` do all of their set-up on a fresh machine; `make setup` does that alone.
PYTHON ?= python3
DEMO := demo
VENV := .venv
RUN := $(VENV)/bin/python
NEEDED_DISK_GB := 12

.PHONY: setup demo test slow-rest slow-benchmarks lint results releases embedded release experiment alignment scale artifacts emulator emulator-reports android ios robustness soak fuzz clean pins verify-pins audit
.DELETE_ON_ERROR:

setup: $(VENV)/ready

# Train on the embedded sample, score, convert to three formats, measure on this machine and, where it can be emulated, on
# a phone; render. The last line is the page, which opens from disk.
demo: $(VENV)/ready
	$(RUN) training/train.py --patch 64 --out $(DEMO)/pocket
	$(RUN) training/evaluate.py $(DEMO)/pocket --split held-out --out $(DEMO)/quality
	$(RUN) conversion/to_executorch.py --checkpoint $(DEMO)/pocket --out $(DEMO)/artifacts
	$(RUN) conversion/to_tflite.py --checkpoint $(DEMO)/pocket --out $(DEMO)/artifacts
	$(RUN) conversion/to_coreml.py --checkpoint $(DEMO)/pocket --out $(DEMO)/artifacts
	$(RUN) benchmarks/on_host.py $(DEMO)/artifacts/* --checkpoint $(DEMO)/pocket --whole-photos 12 48 --out $(DEMO)/reports
	if $(RUN) benchmarks/targets/emulator/set_up.py; then \
		$(RUN) benchmarks/on_emulator.py $(DEMO)/artifacts/*-executorch-* $(DEMO)/artifacts/*-tflite-* --cpus cortex-a76 --checkpoint $(DEMO)/pocket --out $(DEMO)/reports; \
	else echo "the page goes without an emulated phone, for the reason above" >&2; fi
	$(RUN) benchmarks/render.py $(DEMO)/reports --quality $(DEMO)/quality/quality.json --training $(DEMO)/pocket --out $(DEMO)/page

# The figures of the READMEs, from the real pairs and published weights in $(POCKET_DATA). Training takes an hour.
POCKET_DATA ?= ../shared/data
RESULTS := training/results
PUBLISHED := $(POCKET_DATA)/dped_models_orig/iphone_orig $(POCKET_DATA)/peers/ppcn/student.ckpt $(POCKET_DATA)/peers/ppcn/teacher.ckpt
MODELS := runs/published/dped-iphone.safetensors runs/dped-from-scratch runs/published/ppcn-student.safetensors runs/published/ppcn-teacher.safetensors
results: $(VENV)/ready
	$(RUN) training/train.py --generator dped --preset code --pairs $(POCKET_DATA)/dped --batch 4 --steps 20000 --minutes 59 --validate-every 100 --keep last --patience 0 --out runs/dped-from-scratch
	mkdir -p $(RESULTS)/dped-from-scratch && cp runs/dped-from-scratch/log.jsonl $(RESULTS)/dped-from-scratch/
	for prefix in $(PUBLISHED); do $(RUN) training/import_published.py $$prefix --out runs/published || exit 1; done
	$(RUN) training/evaluate.py $(MODELS) --pairs $(POCKET_DATA)/dped --split validation --out $(RESULTS)/dped-40
	$(RUN) training/evaluate.py $(MODELS) --pairs $(POCKET_DATA)/dped --split train --out $(RESULTS)/dped-159
	$(RUN) training/evaluate.py pocket-clean runs/published/dped-iphone.safetensors runs/published/ppcn-teacher.safetensors --pairs $(POCKET_DATA)/dped --judge --out $(RESULTS)/judged-199
	$(RUN) benchmarks/page/readme.py

# The releases in training/weights/ and all that is said of them, from $(POCKET_DATA): an hour with a GPU, days on two
# cores, of which pocket-clean takes two hours. Training resumes.
ACCELERATOR := cpu
DPED := $(POCKET_DATA)/dped
PHONE_PHOTOS := $(DPED)/iphone/test_data/full_size_test_images
HELD_OUT := 0.jpg 5.jpg hd_2.png
OTHER_PHOTOS := $(POCKET_DATA)/photos/train/camera_1024 $(POCKET_DATA)/photos/train/cid22_512
FREE_PHOTOS := $(addprefix $(POCKET_DATA)/photos/train/,cc0 clic2025 unsplash camera_1024)
JUDGING_PHOTOS := $(addprefix $(POCKET_DATA)/photos/,train/cc0 train/clic2025 validation)
TEACHER := runs/published/ppcn-teacher.safetensors
PEERS := $(TEACHER) runs/published/ppcn-student.safetensors runs/published/dped-iphone.safetensors
TEACH := $(RUN) training/data/teach.py --phone-photos $(PHONE_PHOTOS) --hold-out $(HELD_OUT) --photos $(OTHER_PHOTOS) $(POCKET_DATA)/photos/train/bsds_train --teachers $(TEACHER) --accelerator $(ACCELERATOR)
TRAIN := $(RUN) training/train.py --accelerator $(ACCELERATOR) --patch 64 --patience 0 --keep last
SEEDS := 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
FINE := --config channels=16 layers=3 factor=2 analyser_channels=8 hidden=48
TUNING := --packed runs/tuning-0 runs/tuning-1
FINE_TUNE := $(TUNING) --packed-share 0.5 --preset structure --patch 64 --batch 24 --lr 1e-3 --steps 300 --init runs/pocket-taught --keep-initial 0.2 --tone-of $(TEACHER) --patience 0 --keep last
SHOTS := 0 1 2 3 4 5 6 7
MOSTLY_GOOD := $(addprefix runs/phones-,0 1 2 3 4 8 8 8 8)
PHOTOGRAPH := $(RUN) training/data/simulate.py $(FREE_PHOTOS) --attribution training/weights/pocket-clean-photos.csv --variants 2 --crops 30
EIGHT_BITS := $(RUN) training/quantize_aware.py --steps 0
# Freed memory is kept: fresh pages cost the teacher three times its arithmetic.
releases: export MALLOC_MMAP_THRESHOLD_ = 1073741824
releases: export MALLOC_TRIM_THRESHOLD_ = 2147483648
releases: $(VENV)/ready
	for prefix in $(PUBLISHED); do $(RUN) training/import_published.py $$prefix --out runs/published || exit 1; done
	for seed in $(SEEDS); do $(TEACH) --patches 8000 --whole 150 --seed $$seed --out runs/taught-$$seed || exit 1; done
	for seed in 0 1; do $(TEACH) --patches 14000 --whole 200 --seed $$seed --out runs/tuning-$$seed || exit 1; done
	$(TRAIN) --pairs $(DPED) --packed $(SEEDS:%=runs/taught-%) --packed-share 1 --preset scores $(FINE) --batch 128 --steps 49000 --validate-every 2000 --workers 3 --out runs/pocket-taught
	$(RUN) training/cross_validate.py --pairs $(DPED) --name pocket-iphone --beside $(PEERS) --out runs/folds -- $(FINE_TUNE)
	$(RUN) training/train.py --pairs $(DPED) --all-pairs $(FINE_TUNE) --out runs/pocket-iphone
	$(EIGHT_BITS) --checkpoint runs/pocket-iphone --pairs $(DPED) $(TUNING) --out runs/8-bit/pocket-iphone
	$(TEACH) --patches 8000 --whole 0 --seed 2 --out runs/taught-patches
	$(TRAIN) --pairs $(DPED) --packed runs/taught-patches $(FINE) --batch 24 --steps 1500 --out runs/pocket-patches-alone
	for seed in $(SHOTS); do $(PHOTOGRAPH) --seed $$seed --out runs/phones-$$seed || exit 1; done
	$(PHOTOGRAPH) --seed 8 --unchanged-every 2 --out runs/phones-8
	$(TRAIN) --packed $(SHOTS:%=runs/phones-%) --packed-share 1 --preset scores --batch 24 --lr 2e-3 --steps 18000 --validate-every 2000 --out runs/pocket-clean-first
	$(TRAIN) --init runs/pocket-clean-first --packed $(MOSTLY_GOOD) --packed-share 1 --preset scores --batch 24 --lr 1e-3 --steps 10500 --validate-every 1500 --out runs/pocket-clean
	$(EIGHT_BITS) --checkpoint runs/pocket-clean --packed runs/phones-0 runs/phones-1 --out runs/8-bit/pocket-clean
	$(RUN) training/quality/unknown_cameras.py runs/8-bit/pocket-clean --photos $(JUDGING_PHOTOS) --variants 1 --out $(RESULTS)/releases
	$(RUN) training/quality/looks.py runs/8-bit/pocket-iphone runs/pocket-patches-alone --photos $(addprefix $(PHONE_PHOTOS)/,$(HELD_OUT)) $(POCKET_DATA)/photos/phone_fullres --beside runs/published/dped-iphone.safetensors --teachers $(TEACHER) --out runs/looks/held-out
	$(RUN) training/quality/looks.py runs/8-bit/pocket-iphone runs/8-bit/pocket-clean --photos $(POCKET_DATA)/photos/validation --beside runs/published/dped-iphone.safetensors --out runs/looks/modern --crops 0
	$(RUN) training/quality/looks.py runs/8-bit/pocket-clean --photos $(POCKET_DATA)/photos/phone_fullres/Apple_iPhone_4S.jpg --crops 0 --out runs/looks/picture
	cp runs/looks/picture/sheets/Apple_iPhone_4S.jpg $(RESULTS)/releases/before-after.jpg
	for end in json md; do cp runs/folds/folds.$$end $(RESULTS)/releases/ || exit 1; for set in held-out modern; do cp runs/looks/$$set/looks.$$end $(RESULTS)/releases/looks-$$set.$$end || exit 1; done; done
	for name in pocket-iphone pocket-clean; do $(RUN) training/release.py $$name runs/8-bit/$$name || exit 1; done
	$(MAKE) --no-print-directory embedded
	$(RUN) benchmarks/studies/peers/cost.py
	$(RUN) benchmarks/studies/thumbnail_statistics.py $(POCKET_DATA)/photos/phone_fullres
	$(RUN) benchmarks/page/readme.py

# After new weights: the artifact by which the package runs pocket-clean without PyTorch, in conversion/releases/, and the one
# inside the Swift package.
SWIFT_MODELS := ios_demo/Sources/PocketApple/Models
embedded: $(VENV)/ready
	$(RUN) conversion/to_tflite.py --checkpoint pocket-clean --precision fp32 --out runs/embedded
	$(RUN) conversion/embed.py runs/embedded/pocket-clean-tflite-fp32
	$(RUN) conversion/to_coreml.py --checkpoint pocket-clean --precision fp16 --out runs/embedded
	rm -rf $(SWIFT_MODELS)/pocket-clean-coreml-fp16
	cp -R runs/embedded/pocket-clean-coreml-fp16 $(SWIFT_MODELS)/

# What is given out, in dist/: the package without research weights, pocket-clean in three formats, and SHA256SUMS. The
# package is made of the same bytes each time; an artifact's manifest says how long its conversion took, so it is not.
release: export SOURCE_DATE_EPOCH = 315532800
release: $(VENV)/ready
	rm -rf dist runs/release
	$(RUN) -m hatchling build --directory dist
	for format in executorch tflite coreml; do $(RUN) conversion/to_$$format.py --checkpoint pocket-clean --out runs/release || exit 1; done
	$(RUN) conversion/bundle.py runs/release/* --out dist

# The paper's experiment: baselines and pocket, all from the same pairs by the same command, beside published DPED.
EXPERIMENT := runs/experiment
experiment: $(VENV)/ready
	$(RUN) training/import_published.py $(POCKET_DATA)/dped_models_orig/iphone_orig --out runs/published
	for generator in per_pixel srcnn pocket; do $(RUN) training/train.py --generator $$generator --preset pixel --pairs $(DPED) --patch 64 --batch 16 --steps 1500 --out $(EXPERIMENT)/$$generator || exit 1; done
	$(RUN) training/evaluate.py $(addprefix $(EXPERIMENT)/,per_pixel srcnn pocket) runs/published/dped-{camera}.safetensors --pairs $(DPED) --split validation --photo-app --cameras iphone blackberry sony --out $(EXPERIMENT)/quality
	mkdir -p $(RESULTS)/experiment && cp $(EXPERIMENT)/quality/quality.json $(EXPERIMENT)/quality/quality.md $(RESULTS)/experiment/

# From raw pairs to patches, in figures. `scale` times things: run it when the machine does nothing else.
FREE_PHOTOS := $(POCKET_DATA)/photos/train/camera_1024
alignment: $(VENV)/ready
	$(RUN) benchmarks/studies/alignment.py $(FREE_PHOTOS) --real $(addprefix $(POCKET_DATA)/align/,dslr_facade iphone_hdr_2048 leuven) --jobs 2
scale: $(VENV)/ready
	$(RUN) benchmarks/studies/file_speed.py
	$(RUN) benchmarks/studies/training_speed.py
	$(RUN) benchmarks/studies/alignment_throughput.py $(POCKET_DATA)/photos/phone_fullres/*
	$(RUN) benchmarks/studies/reading.py --pairs $(DPED)
	$(RUN) benchmarks/studies/fine_tuning.py $(POCKET_DATA)/photos/train/bsds_train --held-out $(POCKET_DATA)/photos/validation

# Artifacts of three networks in every precision, for the tables of the READMEs: `make -j2 artifacts`. One that is there and
# newer than its checkpoint and the converters is not made again; each process takes one thread. One of Pocket that misses
# its floor ends it. Published DPED is there for comparison and written all the same (--allow-below-floor): its row says
# so. It costs 150 times as much: of its photos, four tiles each, twelve judge. Of Pocket in w8a8, layers are kept in
# float until the floors hold.
ARTIFACTS := runs/artifacts
W8A8_FLOORS := --min-psnr 44 --min-worst-psnr 38
CONVERT = OMP_NUM_THREADS=1 $(RUN) conversion/to_$(1).py --photos $(POCKET_DATA)/photos/validation --out $(ARTIFACTS)
POCKET_IPHONE := training/weights/pocket-iphone.safetensors
POCKET_CLEAN := training/weights/pocket-clean.safetensors
DPED_IPHONE := runs/published/dped-iphone.safetensors
define artifact  # format, precision and what else is in the name, checkpoint, flags
ARTIFACTS_MADE += $(ARTIFACTS)/$(basename $(notdir $(3)))-$(1)-$(2)/manifest.json
$(ARTIFACTS)/$(basename $(notdir $(3)))-$(1)-$(2)/manifest.json: $(3) $(wildcard conversion/*.py conversion/runtimes/*.py conversion/backends/*/*.py) | $(VENV)/ready
	$(call CONVERT,$(1)) --checkpoint $(3) --precision $(firstword $(subst -, ,$(2))) $(if $(filter pocket-%-w8a8,$(basename $(notdir $(3)))-$(2)),$(W8A8_FLOORS)) $(4)
endef
define artifacts_of  # checkpoint, flags
$(foreach precision,fp32 fp16 w8a8,$(eval $(call artifact,executorch,$(precision),$(1),$(2))))
$(foreach precision,fp32 fp16 w8 dyn8 w8a8,$(eval $(call artifact,tflite,$(precision),$(1),$(2))))
$(foreach precision,fp16 w8 w8a8 pal6 pal4,$(eval $(call artifact,coreml,$(precision),$(1),$(2))))
endef
$(call artifacts_of,$(POCKET_IPHONE))
$(call artifacts_of,$(POCKET_CLEAN))
$(call artifacts_of,$(DPED_IPHONE),--judges 12 --tile 276 --allow-below-floor)
$(eval $(call artifact,tflite,dyn8-uint8,$(POCKET_IPHONE),--io uint8))
$(eval $(call artifact,coreml,w8-uint8,$(POCKET_IPHONE),--io uint8))
$(eval $(call artifact,coreml,w8-ios18,$(POCKET_IPHONE),--target ios18))
$(DPED_IPHONE): | $(VENV)/ready
	$(RUN) training/import_published.py $(POCKET_DATA)/dped_models_orig/iphone_orig --out runs/published
artifacts: $(ARTIFACTS_MADE)
	$(RUN) benchmarks/studies/artifacts.py $(ARTIFACTS_MADE:/manifest.json=)
	$(RUN) benchmarks/studies/peers/precisions.py $(filter $(ARTIFACTS)/pocket-iphone-%,$(ARTIFACTS_MADE:/manifest.json=)) --checkpoint pocket-iphone
	$(RUN) benchmarks/page/readme.py

# The emulated ARM64 phone, from Debian packages and wheels, in the user's cache; starts it once. Says why where it cannot.
emulator: $(VENV)/ready
	$(RUN) benchmarks/targets/emulator/set_up.py

# What the emulated phone says of the releases, and of DPED for comparison. DPED's 399,744 MAC per pixel allow one call
# on one CPU, and a small thumbnail, as its analyze runs the whole network.
# executorch-fp16 of pocket-clean is what the Android app embeds.
PHONE_FORMATS := executorch-fp16 executorch-fp32 executorch-w8a8 tflite-fp32 tflite-dyn8 tflite-w8a8
ON_EMULATOR := $(RUN) benchmarks/on_emulator.py --no-pictures --out benchmarks/reports
DPED_SMALL := runs/published/dped-iphone-64.safetensors
$(DPED_SMALL): | $(VENV)/ready
	$(RUN) training/import_published.py $(POCKET_DATA)/dped_models_orig/iphone_orig --thumbnail 64 --name dped-iphone-64 --out runs/published
$(ARTIFACTS)/dped-iphone-64-tflite-w8a8/manifest.json: $(DPED_SMALL) | $(VENV)/ready
	$(call CONVERT,tflite) --checkpoint $(DPED_SMALL) --precision w8a8 --judges 12 --tile 276 --allow-below-floor
emulator-reports: $(foreach name,dped-iphone-64-tflite-w8a8 $(foreach network,pocket-iphone pocket-clean,$(addprefix $(network)-,$(PHONE_FORMATS))),$(ARTIFACTS)/$(name)/manifest.json)
	$(ON_EMULATOR) $(ARTIFACTS)/dped-iphone-64-tflite-w8a8 --checkpoint $(DPED_SMALL) --cpus cortex-a76 --warm-up 0 --runs 1
	$(ON_EMULATOR) $(addprefix $(ARTIFACTS)/pocket-clean-,$(PHONE_FORMATS)) --cpus cortex-a76
	$(ON_EMULATOR) $(addprefix $(ARTIFACTS)/pocket-iphone-,$(PHONE_FORMATS))

# What odd, broken and hostile files do, and runs that are killed: the table of benchmarks/README.md. `soak` ends each kind of run a
# hundred times; it takes an hour.
robustness: $(VENV)/ready
	$(RUN) benchmarks/robustness/robustness.py
	$(RUN) benchmarks/robustness/field_cases.py
	$(RUN) benchmarks/page/readme.py
READER := photo
fuzz: $(VENV)/ready
	$(RUN) benchmarks/robustness/fuzz.py $(READER)
KILLS := 100
soak: $(VENV)/ready
	$(RUN) benchmarks/robustness/soak.py --kills $(KILLS)
	$(RUN) benchmarks/robustness/robustness.py --classes kills
	$(RUN) benchmarks/page/readme.py

# The demo app for Android as a signed APK, without Android Studio: see android_demo/README.md.
android: $(VENV)/ready
	$(RUN) android_demo/packing/build_apk.py

# On a Mac with Xcode and xcodegen: the iOS app, built for the Simulator. Ends with "** BUILD SUCCEEDED **".
ios:
	@command -v xcodebuild >/dev/null || { echo "make ios needs a Mac with Xcode; ios_demo/README.md says what is proven elsewhere" >&2; exit 1; }
	@ls ios_demo/Models/*/manifest.json >/dev/null 2>&1 || { echo "ios_demo/Models has no model; run: python conversion/to_coreml.py --checkpoint pocket-clean --out ios_demo/Models" >&2; exit 1; }
	cd ios_demo && xcodegen && xcodebuild build -quiet -project PocketDSLR.xcodeproj -scheme PocketDSLR -destination 'generic/platform=iOS Simulator' && echo '** BUILD SUCCEEDED **'

test: lint
	env -u MAKEFLAGS $(RUN) -m pytest -m "not slow" -n 2 --dist loadfile
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target slow-rest slow-benchmarks

# Side by side, so divided that both end together, each with one thread: two that wait for each other on two cores cost more than they bring.
slow-rest slow-benchmarks: export OMP_NUM_THREADS = 1
LONG_OF_BENCHMARKS := benchmarks/tests/test_inputs_stay.py benchmarks/tests/test_field_cases.py
slow-rest:
	env -u MAKEFLAGS $(RUN) -m pytest -m slow training conversion android_demo ios_demo $(LONG_OF_BENCHMARKS)
slow-benchmarks:
	env -u MAKEFLAGS $(RUN) -m pytest -m slow benchmarks $(LONG_OF_BENCHMARKS:%=--ignore=%)

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
		{ echo "Python 3.11 to 3.13 is needed, and $(PYTHON) is $$($(PYTHON) -V 2>&1); name another with make PYTHON=python3.12" >&2; exit 1; }
	@free_gb=$$(df -Pk . | awk 'NR == 2 {print int($$4 / 1048576)}'); [ -f $@ ] || [ $$free_gb -ge $(NEEDED_DISK_GB) ] || \
		{ echo "$(NEEDED_DISK_GB) GB of disk are needed for the environment, and $$free_gb GB are free here" >&2; exit 1; }
	@echo "setting up $(VENV): about 7 GB, a few minutes" >&2
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[executorch,tflite,coreml,dev]'
	@touch $@

clean:
	rm -rf $(DEMO) runs enhanced

# Renew the pins from the environment as it is, after an upgrade that passed `make test`, and the hashes of their files.
pins:
	{ head -1 constraints.txt; $(RUN) -m pip freeze --exclude-editable | sort -f; } > constraints.new && mv constraints.new constraints.txt
	$(MAKE) --no-print-directory constraints.lock
constraints.lock: constraints.txt
	$(VENV)/bin/uv pip compile constraints.txt --no-deps --generate-hashes --no-annotate --no-header --quiet --output-file lock.new
	{ echo '# constraints.txt with the sha256 of every file of each version. Renewed by: make pins. Checked by: make verify-pins'; cat lock.new; } > $@ && rm lock.new

# Whether the package index still gives the very files that were tested (downloads what pip has not cached); and whether a
# fault of them is known, by the index' database of advisories.
verify-pins:
	$(RUN) -m pip install --quiet --dry-run --ignore-installed --no-deps --require-hashes --requirement constraints.lock
	@echo "every file has the sha256 of constraints.lock" >&2
audit:
	$(VENV)/bin/uv tool run pip-audit==2.10.1 --requirement constraints.lock --no-deps --disable-pip --require-hashes
