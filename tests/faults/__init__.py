"""What goes wrong around real servers: clocks, networks, disks, sudden deaths. Afterwards both sides say the same."""
