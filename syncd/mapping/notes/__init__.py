"""What a resource does not say, or says otherwise than the images, and the clause why."""
