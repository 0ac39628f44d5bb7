"""Pages that stand by themselves: a template each, filled by `earfilt.report.page`."""
