"""The report: one offline page from a run folder. `page.build(run)` is the entry. Loads no torch."""
