"""What a run leaves on the disk: its folder, JSON lines, whole files, locks; the clean stop and the machine's facts."""
