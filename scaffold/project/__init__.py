"""What is remembered of projects on this machine, beside their folders. No Docker."""
