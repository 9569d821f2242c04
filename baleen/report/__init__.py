"""Every page a person looks at: a run's report, trajectories, dataset cards, plots."""
