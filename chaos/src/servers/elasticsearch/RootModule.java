package lab;

import java.util.Collection;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;

/** Answers at the root path, which clients ask for the version: in the distribution a module of its own does. */
public final class RootModule extends Plugin implements ActionPlugin {
    private static final String BANNER = """
        {"name":"lab","cluster_name":"lab","cluster_uuid":"_na_","version":{"number":"%s","build_flavor":"default",\
        "lucene_version":"%s"},"tagline":"You Know, for Search"}""";

    @Override
    public Collection<RestHandler> getRestHandlers(
        @services@,
        Supplier<DiscoveryNodes> nodes,
        Predicate<NodeFeature> features
    ) {
        return List.of(new Root());
    }

    private static final class Root implements RestHandler {
        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
        }

        @Override
        public void handleRequest(RestRequest request, RestChannel channel, NodeClient client) {
            String banner = BANNER.formatted(Build.current().version(), org.apache.lucene.util.Version.LATEST);
            channel.sendResponse(new RestResponse(RestStatus.OK, "application/json", banner));
        }
    }
}
