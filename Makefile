# What operators call by `make`, also inside a container: `docker exec … make cancel-jobs-splits`.
# Everything for developers is in the justfile.
#
# BELVEDERE names the program, ARGUMENTS are passed on: `make report STEP=split-first-rows ARGUMENTS=--errors`.

BELVEDERE ?= belvedere
ARGUMENTS ?=

.PHONY: help cancel-jobs-splits cancel-jobs-first-rows cancel-jobs-parquet pending status backfill clean report

help:
	@grep -E '^[a-z-]+:' $(firstword $(MAKEFILE_LIST)) | sed 's/:.*//'

cancel-jobs-splits:
	$(BELVEDERE) admin cancel-jobs-splits $(ARGUMENTS)

cancel-jobs-first-rows:
	$(BELVEDERE) admin cancel-jobs-first-rows $(ARGUMENTS)

cancel-jobs-parquet:
	$(BELVEDERE) admin cancel-jobs-parquet $(ARGUMENTS)

pending:
	$(BELVEDERE) admin pending $(ARGUMENTS)

status:
	$(BELVEDERE) admin status $(ARGUMENTS)

backfill:
	$(BELVEDERE) admin backfill $(ARGUMENTS)

clean:
	$(BELVEDERE) admin clean $(ARGUMENTS)

report:
	$(BELVEDERE) admin report $(STEP) $(ARGUMENTS)
