"""Who is who: the patient, those who took part, who issued a number, where."""
