from datetime import timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from duck_cookie_session.contrib.django import get_connector

from .models import Login

MOST = 3  # sessions of one user; whichever was not used for longest makes room
EVERY = timedelta(minutes=5)  # how often a session that is used is noted


def note_logins(get_response):
    """Middleware, below Django's AuthenticationMiddleware."""

    def answered(request):
        response = get_response(request)
        if request.session.accessed and request.user.is_authenticated:
            note(request)
        return response

    return answered


def note(request):
    """A write at a login, then one in five minutes."""
    session, now = request.session, timezone.now()
    before, at = session.get("noted", ("", now))
    if before == session.session_id and now - at < EVERY:
        return
    session["noted"] = session.session_id, now
    browser = request.headers.get("User-Agent", "")[:200]
    Login.objects.update_or_create(
        session_id=session.session_id,
        defaults={"user": request.user, "browser": browser, "last_used": now},
    )
    if before != session.session_id:  # a login, or reauthenticated()
        Login.objects.filter(session_id=before).delete()
        for login in logins_of(request.user)[MOST:]:
            end(login)


def logins_of(user):
    lifetime = timedelta(seconds=settings.SESSION_COOKIE_AGE)
    return Login.objects.filter(user=user, last_used__gt=timezone.now() - lifetime)


def end(login):
    get_connector().delete_session(login.session_id)
    login.delete()


@login_required
def sessions(request):
    found = {"logins": logins_of(request.user), "here": request.session.session_id}
    return render(request, "sessions.html", found)


@require_POST
@login_required
def end_session(request, session_id):
    for login in logins_of(request.user).filter(session_id=session_id):  # nobody ends another's
        end(login)
    return redirect(sessions)


@require_POST
@login_required
def end_other_sessions(request):
    request.session.delete_other_sessions()  # those too that are not in the table
    logins_of(request.user).exclude(session_id=request.session.session_id).delete()
    return redirect(sessions)


@receiver(user_logged_out)
def forget(sender, request, **_):
    Login.objects.filter(session_id=request.session.session_id).delete()
