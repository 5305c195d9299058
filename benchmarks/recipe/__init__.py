"""Which training defaults are best at equal time: autoseg's plan beside itself with one thing changed."""
