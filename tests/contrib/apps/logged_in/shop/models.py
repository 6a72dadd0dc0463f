from django.conf import settings
from django.db import models
from django.utils import timezone


class Login(models.Model):
    session_id = models.CharField(max_length=22, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    browser = models.CharField(max_length=200)
    last_used = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "logins"
        ordering = ("-last_used",)
