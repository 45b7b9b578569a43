from __future__ import annotations

import uuid

from django import forms

from listings.models import Role, Team
from listings.services.teams import AWS_FIELDS


class TeamForm(forms.Form):
    key = forms.UUIDField(required=False, initial=uuid.uuid4, widget=forms.HiddenInput)
    name = forms.CharField(label="Team name", max_length=80, help_text="Your organisation as colleagues call it.")


class InvitationForm(forms.Form):
    email = forms.EmailField(label="E-mail", max_length=254)
    role = forms.ChoiceField(label="Role", choices=Role, initial=Role.DEVELOPER)


class AwsForm(forms.ModelForm):  # type: ignore[type-arg]
    """The team's AWS connection; the service checks the values."""

    class Meta:
        model = Team
        fields = AWS_FIELDS
        labels = {
            "aws_account_id": "Account",
            "aws_region": "Region",
            "aws_role_arn": "Role that Slipway assumes",
            "s3_bucket": "S3 bucket",
            "ecr_prefix": "ECR repository prefix",
            "validation_role_arn": "Validation role",
            "access_role_arn": "Marketplace access role",
        }
        help_texts = {
            "aws_account_id": "Twelve digits.",
            "aws_region": "Where images, artifacts and resources live, such as us-east-1.",
            "aws_role_arn": "Trusts Slipway with this team's external ID.",
            "s3_bucket": "For artifacts and validation inputs; same Region.",
            "ecr_prefix": "Repositories are named prefix/listing.",
            "validation_role_arn": "SageMaker assumes it while it validates.",
            "access_role_arn": "The Marketplace assumes it to copy the product; no IAM path.",
        }
