package io.blackboxam.client;

import io.blackboxam.v1.CreateStudyRequest;
import io.blackboxam.v1.CreateStudyResponse;
import io.blackboxam.v1.GetServerInfoRequest;
import io.blackboxam.v1.GetServerInfoResponse;
import io.blackboxam.v1.ListStudiesRequest;
import io.blackboxam.v1.ListStudiesResponse;
import io.blackboxam.v1.StudySpec;
import io.blackboxam.v1.StudyState;
import java.io.File;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/**
 * A connection to one server. Safe to use from any thread.
 *
 * <p>Errors are of the classes of {@link BlackboxException}. A thread that is interrupted while a
 * method waits gets a {@link java.util.concurrent.CancellationException}.
 */
public final class Client implements AutoCloseable {
    /** The version of the service that this client speaks: MAJOR.MINOR. */
    public static final String API_VERSION = "0.1";

    private final Connection connection;

    private Client(Connection connection) {
        this.connection = connection;
    }

    /** A client of the server at target, host:port, without a token and without encryption. */
    public static Client connect(String target) {
        return builder(target).connect();
    }

    /** Settings of a client of the server at target, host:port. */
    public static Builder builder(String target) {
        return new Builder(target);
    }

    /** The settings of a connection. */
    public static final class Builder {
        private final String target;
        private String token;
        private boolean tls;
        private File ca;
        private File certificate;
        private File key;
        private String clientId = "";
        private Duration timeout = Duration.ofSeconds(30);
        private Duration reconnect = Duration.ofSeconds(60);

        private Builder(String target) {
            this.target = target;
        }

        /** Sends a token with each call; without TLS only to an address of this machine. */
        public Builder token(String value) {
            token = value;
            return this;
        }

        /** Encrypts the connection, and trusts the certificates of the system. */
        public Builder tls() {
            tls = true;
            return this;
        }

        /** Encrypts the connection, and trusts the certificates of the file, in PEM. */
        public Builder ca(File file) {
            tls = true;
            ca = file;
            return this;
        }

        /** The client's own certificate and its key, in PEM. It needs tls() or ca(...). */
        public Builder certificate(File certificateFile, File keyFile) {
            certificate = certificateFile;
            key = keyFile;
            return this;
        }

        /**
         * The name of this client in leases, such as {@code rig-2}, which no other client may have
         * at the same time. A client that starts again under its name gets the candidates that it
         * held back at once; without a name they are handed out when their lease has expired.
         */
        public Builder clientId(String name) {
            clientId = name;
            return this;
        }

        /** The time limit of each call; 30 seconds. Watches have none. */
        public Builder timeout(Duration limit) {
            timeout = limit;
            return this;
        }

        /** The longest wait of ask, tell, askTell and watch for a server that is away; 60 s. */
        public Builder reconnect(Duration limit) {
            reconnect = limit;
            return this;
        }

        /**
         * Connects, and compares the versions of the API.
         *
         * @throws BlackboxException.ServerUnavailable if no server answers
         * @throws BlackboxException.Unsupported if the server has another version
         * @throws BlackboxException.InvalidInput for settings that do not fit together
         */
        public Client connect() {
            Access access = new Access(token, tls, ca, certificate, key);
            Client client = new Client(
                    new Connection(target, access, clientId, timeout, reconnect));
            try {
                client.checkVersion();
            } catch (RuntimeException error) {
                client.close();
                throw error;
            }
            return client;
        }
    }

    private void checkVersion() {
        String theirs = serverInfo().getApiVersion();
        if (!theirs.equals(API_VERSION)) {
            throw new BlackboxException.Unsupported("the server at " + connection.target
                    + " speaks version " + (theirs.isEmpty() ? "unknown" : theirs)
                    + " of the API, this client version " + API_VERSION
                    + "; use the client of the server's version");
        }
    }

    /** Closes the connection. Studies on the server continue. */
    @Override
    public void close() {
        connection.close();
    }

    /** What the server says of itself. */
    public GetServerInfoResponse serverInfo() {
        GetServerInfoRequest request = GetServerInfoRequest.getDefaultInstance();
        return connection.call(() -> connection.catalog().getServerInfo(request));
    }

    /** What the server has: generators, oracles, optimizers, units, and calls of them. */
    public Catalog catalog() {
        return new Catalog(connection);
    }

    /** Bytes that the server keeps. */
    public Artifacts artifacts() {
        return new Artifacts(connection);
    }

    /**
     * Creates a study, or returns the one that is there under the id with the same specification.
     *
     * @throws BlackboxException.StudyExists if the study has another specification
     * @throws BlackboxException.InvalidInput for an invalid specification; it names the field
     */
    public Study create(Spec spec) {
        return create(spec.message(), CreateStudyRequest.newBuilder().setStudyId(spec.studyId()));
    }

    /**
     * Creates the study that a message describes.
     *
     * @param options the other fields of the request: study_id, request_id, validate_only, adopt
     */
    public Study create(StudySpec spec, CreateStudyRequest.Builder options) {
        CreateStudyRequest request = options.setSpec(spec).build();
        CreateStudyResponse answer = connection.call(() -> connection.studies().createStudy(request));
        return new Study(connection, idOf(answer.getStudy()), answer.getStudy());
    }

    /** The study with this id, which must exist. */
    public Study study(String id) {
        Study study = handle(id);
        study.get();
        return study;
    }

    /** A handle of the study with this id, without a call to the server. */
    public Study handle(String id) {
        return new Study(connection, id, null);
    }

    /** The studies in one of the states (all if there are none) with all the labels, by id. */
    public List<io.blackboxam.v1.Study> studies(
            Collection<StudyState> states, Map<String, String> labels) {
        return Connection.pages(token -> {
            ListStudiesRequest request = ListStudiesRequest.newBuilder()
                    .setPageSize(Connection.PAGE_SIZE)
                    .setPageToken(token)
                    .addAllStates(states)
                    .putAllLabels(labels)
                    .build();
            ListStudiesResponse page =
                    connection.call(() -> connection.studies().listStudies(request));
            return new Connection.Page<>(page.getStudiesList(), page.getNextPageToken());
        });
    }

    /** The id of a study. */
    public static String idOf(io.blackboxam.v1.Study study) {
        return study.getName().substring(study.getName().indexOf('/') + 1);
    }
}
