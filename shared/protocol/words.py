"""The closed words of statements. An unknown word is refused, never read as a default."""

from enum import StrEnum


class FactStatus(StrEnum):
    """How final a statement is; the words are those of FHIR results."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    ENTERED_IN_ERROR = "entered-in-error"


class Certainty(StrEnum):
    """Whether a condition is suspected, confirmed or refuted."""

    SUSPECTED = "suspected"
    CONFIRMED = "confirmed"
    REFUTED = "refuted"


class Sex(StrEnum):
    """Administrative sex, as in FHIR."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


class Intent(StrEnum):
    """Why a drug is given."""

    ANTIEMETIC = "antiemetic"
    PREMEDICATION = "premedication"
    REPLACEMENT = "replacement"
    PROPHYLAXIS = "prophylaxis"
    TREATMENT = "treatment"


class PremedicationFor(StrEnum):
    """What a premedication prepares for."""

    CHEMOTHERAPY = "chemotherapy"
    CONTRAST = "contrast"
    CIK = "cik"


class InfectionType(StrEnum):
    """The infection classes that the protocol tells apart."""

    UNCOMPLICATED = "uncomplicated"
    SERIOUS = "serious"
    SARS_COV_2 = "sars_cov_2"
    HBV = "hbv"
    HCV = "hcv"
    HIV = "hiv"
    HTLV = "htlv"
    SYPHILIS = "syphilis"
    CMV = "cmv"
    UNSPECIFIED = "unspecified"


class ProductForm(StrEnum):
    """How a dose is kept."""

    FRESH = "fresh"
    CRYOPRESERVED = "cryopreserved"


class ReviewOutcome(StrEnum):
    """What a clinician decided on a review finding."""

    PROCEED = "proceed"
    WAIT = "wait"
