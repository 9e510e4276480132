"""What happened? Change pages become dirty studies, gaps and resets; pure."""
