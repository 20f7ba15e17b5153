import cloakroom.Cloakroom;
import java.net.CookieManager;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;

class Program {
    static final String USERNAME = "tiangolo";
    static final String PASSWORD = "secret2";

    static void check(boolean ok, String what) {
        if (!ok) throw new AssertionError(what);
    }

    /** The code of a refused call. */
    static String refused(int status, Runnable call) {
        try {
            call.run();
        } catch (Cloakroom.ApiException refusal) {
            check(refusal.status == status, "status " + refusal.status);
            return Visit.code(refusal);
        }
        throw new AssertionError("it was not refused");
    }

    static Cloakroom.Credentials credentials(String password, boolean remember) {
        return Cloakroom.Credentials.fromJson(
            Map.of("username", USERNAME, "password", password, "remember", remember));
    }

    /** What a mail contains: a code or a token. */
    static String mailed(String mailbox, String secret, String email) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(mailbox + "/" + secret + "/" + email)).build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        check(answer.statusCode() == 200, "mail");
        return answer.body();
    }

    /**
     * A user confirms an address with the code from a mail, and sets a new password with the link from
     * another.
     */
    static void recover(String url, String mailbox) throws Exception {
        var name = "java-" + UUID.randomUUID();
        var email = name + "@example.org";
        var cleo = Visit.connect(url);
        var made = cleo.register(Cloakroom.Registration.fromJson(
            Map.of("username", name, "password", "a long walk by the river", "email", email)));
        check(email.equals(made.unconfirmedEmail()), "register with an address");
        var code = Map.of("code", mailed(mailbox, "code", email));
        var confirmed = cleo.confirmEmail(Cloakroom.EmailConfirmation.fromJson(code));
        check(email.equals(confirmed.email()), "confirm the address");
        var forgetful = Visit.connect(url);
        forgetful.requestPasswordReset(Cloakroom.PasswordResetRequest.fromJson(Map.of("username", email)));
        var reset = Cloakroom.PasswordReset.fromJson(
            Map.of("token", mailed(mailbox, "token", email), "new_password", "a short walk by the sea"));
        forgetful.resetPassword(reset);
        check(refused(403, () -> forgetful.resetPassword(reset)).equals("reset_refused"), "it works once");
        check(refused(403, cleo::getMe).equals("session_refused"), "the sessions end");
        var signedIn = forgetful.login(Cloakroom.Credentials.fromJson(
            Map.of("username", email, "password", "a short walk by the sea")));
        check(signedIn.ok(), "sign in by address");
    }

    public static void main(String[] arguments) throws Exception {
        var url = System.getenv("CLOAKROOM_URL");
        var wrongPassword = System.getenv("WRONG_PASSWORD"); // the code that the service sends for it

        // A request without a session and a login with a wrong password are refused.
        var ann = Visit.connect(url);
        check(refused(401, ann::readPrivate).equals("not_authenticated"), "nobody reads");
        check(refused(403, () -> ann.login(credentials("secret3", false))).equals(wrongPassword), "wrong password");
        try {
            Visit.visit(url, USERNAME, "secret3");
            check(false, "visit with a wrong password");
        } catch (IllegalArgumentException error) {
            check(wrongPassword.equals("invalid_credentials"), "a code that nobody knows");
        } catch (Cloakroom.ApiException error) {
            check(error.status == 403 && !wrongPassword.equals("invalid_credentials"), "a code that all know");
        }

        // Two devices sign in, and the second one revokes the session of the first.
        var there = ann.login(credentials(PASSWORD, true));
        check(there.ok(), "sign in");
        check(ann.readPrivate().username().equals(USERNAME), "read");
        var here = Visit.connect(url);
        here.login(credentials(PASSWORD, false));
        var listed = here.listSessions(null).sessions().stream()
            .filter(session -> session.id().equals(there.session().id()))
            .findFirst()
            .orElseThrow();
        check(listed.remember() && !listed.current(), "the session is listed");
        var age = Duration.between(Instant.parse(listed.createdAt()), Instant.now());
        check(age.abs().compareTo(Duration.ofMinutes(1)) < 0, "it began just now");
        here.revokeSession(listed.id());
        check(refused(404, () -> here.revokeSession(listed.id())).equals("not_found"), "end it again");
        check(refused(403, ann::readPrivate).equals("session_refused"), "its cookie is refused");
        check(here.readPrivate().username().equals(USERNAME), "the other one is not");

        // The README's program revokes that session too, and its own at the end.
        check(Visit.visit(url, USERNAME, PASSWORD).equals("get some private data"), "visit");
        check(refused(403, here::readPrivate).equals("session_refused"), "visit ended the others");

        // A new user registers, changes the password and closes the account.
        var bob = Visit.connect(url);
        var somebody = Cloakroom.Registration.fromJson(
            Map.of("username", "java-late-" + UUID.randomUUID(), "password", "a long walk by the river"));
        var made = bob.register(somebody);
        check(made.username().equals(somebody.username()), "register");
        check(refused(409, () -> Visit.connect(url).register(somebody)).equals("username_taken"), "register again");
        bob.changePassword(Cloakroom.PasswordChange.fromJson(
            Map.of("current_password", somebody.password(), "new_password", "a short walk by the sea")));
        check(bob.getMe().id().equals(made.id()), "me");

        // This user has neither of the roles that a proxy asks for.
        var roles = new Cloakroom.ForwardAuthParams().role(List.of("wiki-editor", "wiki-admin"));
        check(refused(403, () -> bob.forwardAuth(roles)).equals("role_needed"), "a role");

        // This user signed in too long ago, so the client confirms the session and repeats the request.
        check(refused(403, () -> bob.closeAccount()).equals("confirmation_required"), "close the account");
        var confirmed = bob.confirmWithPassword(
            Cloakroom.PasswordConfirmation.fromJson(Map.of("current_password", "a short walk by the sea")));
        check(confirmed.confirmedUntil() != null, "confirm");

        // TOK-16: a program needs only the token. If a client also has a cookie, the token decides.
        var token = bob.createApiToken(Cloakroom.ApiTokenRequest.fromJson(Map.of("name", "Nightly build")));
        var auth = new Cloakroom.Auth().bearer(token.token());
        var program = new Cloakroom(new Cloakroom.Config().serverUrl(url).auth(auth));
        check(program.readPrivate().username().equals(made.username()), "read with a token");
        var jar = HttpClient.newBuilder().cookieHandler(new CookieManager()).build();
        var both = new Cloakroom(new Cloakroom.Config().serverUrl(url).httpClient(jar).auth(auth));
        both.login(credentials(PASSWORD, false));
        check(both.getSession().current(), "the cookie is there");
        check(both.getMe().username().equals(made.username()), "the token decides");
        bob.revokeApiToken(token.id());
        check(refused(401, program::readPrivate).equals("token_refused"), "read with a revoked token");
        check(refused(401, both::getMe).equals("token_refused"), "the token decides when it is revoked");
        check(bob.getMe().username().equals(made.username()), "the session goes on");

        // The confirmed session closes the account.
        bob.closeAccount();
        check(refused(401, bob::getMe).equals("not_authenticated"), "it is gone");

        var mailbox = System.getenv("MAILBOX");
        if (mailbox != null) recover(url, mailbox);
    }
}
