package syncd.hapihost;

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.FhirVersionEnum;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.MemoryBinaryStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.JpaDstu2Config;
import ca.uhn.fhir.jpa.config.HibernatePropertiesProvider;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.r4b.JpaR4BConfig;
import ca.uhn.fhir.jpa.config.r5.JpaR5Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaConformanceProviderDstu2;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.RequestValidatingInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import ca.uhn.fhir.validation.IValidatorModule;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import jakarta.persistence.EntityManagerFactory;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import javax.sql.DataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.h2.jdbcx.JdbcConnectionPool;
import org.hibernate.dialect.Dialect;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;
import org.springframework.transaction.annotation.EnableTransactionManagement;

/**
 * HAPI FHIR's own JPA server on embedded H2, bound to 127.0.0.1, base path /fhir: a real FHIR server where there is no
 * container engine (history, search, transactions, $validate, referential integrity).
 *
 * <p>{@code java -Xmx1g -Dfhir=r4 -Dport=8080 -jar hapi-host.jar} prints "HAPI r4 ready on 8080" once it answers.
 * System properties: {@code fhir} dstu2 | r4 | r4b | r5; {@code port} (0: any free one, which the line names);
 * {@code db} an H2 JDBC URL (default: in memory; {@code jdbc:h2:file:PATH} keeps the data over a restart);
 * {@code validate=true} refuses resources that fail validation; {@code ids=server} refuses ids that clients choose.
 */
public final class HapiHost {
    private static final Map<String, Class<?>> CONFIGS =
            Map.of("dstu2", Dstu2.class, "r4", R4.class, "r4b", R4B.class, "r5", R5.class);

    public static void main(String[] args) throws Exception {
        String version = System.getProperty("fhir", "r4");
        if (!CONFIGS.containsKey(version)) {
            System.err.println("-Dfhir=" + version + ": this host knows " + CONFIGS.keySet());
            System.exit(2);
        }
        var spring = new AnnotationConfigApplicationContext(CONFIGS.get(version));
        var jetty = new Server();
        var connector = new ServerConnector(jetty);
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.getInteger("port", 8080));
        jetty.addConnector(connector);
        var context = new ServletContextHandler("/");
        context.addServlet(new ServletHolder(fhirServer(spring)), "/fhir/*");
        jetty.setHandler(context);
        jetty.start();
        System.out.println("HAPI " + version + " ready on " + connector.getLocalPort());
        jetty.join();
    }

    private static RestfulServer fhirServer(AnnotationConfigApplicationContext spring) {
        IFhirSystemDao<?, ?> systemDao = spring.getBean(IFhirSystemDao.class);
        var server = new RestfulServer(systemDao.getContext());
        server.registerProviders(spring.getBean(ResourceProviderFactory.class).createProviders());
        server.registerProvider(spring.getBean(IJpaSystemProvider.class));
        var settings = spring.getBean(JpaStorageSettings.class);
        server.setServerConformanceProvider(systemDao.getContext().getVersion().getVersion() == FhirVersionEnum.DSTU2
                ? new JpaConformanceProviderDstu2(server, dstu2(systemDao), settings)
                : new JpaCapabilityStatementProvider(server, systemDao, settings,
                        spring.getBean(ISearchParamRegistry.class), spring.getBean(IValidationSupport.class)));
        server.setPagingProvider(spring.getBean(DatabaseBackedPagingProvider.class));
        if (Boolean.getBoolean("validate")) {
            var validating = new RequestValidatingInterceptor();
            validating.setFailOnSeverity(ResultSeverityEnum.ERROR);
            validating.setValidatorModules(List.of(spring.getBean(IValidatorModule.class)));
            server.registerInterceptor(validating);
        }
        return server;
    }

    @SuppressWarnings("unchecked")
    private static IFhirSystemDao<ca.uhn.fhir.model.dstu2.resource.Bundle, ca.uhn.fhir.model.dstu2.composite.MetaDt> dstu2(
            IFhirSystemDao<?, ?> systemDao) {
        return (IFhirSystemDao<ca.uhn.fhir.model.dstu2.resource.Bundle, ca.uhn.fhir.model.dstu2.composite.MetaDt>) systemDao;
    }

    @Configuration @Import({JpaDstu2Config.class, Common.class}) static class Dstu2 {}
    @Configuration @Import({JpaR4Config.class, Common.class}) static class R4 {}
    @Configuration @Import({JpaR4BConfig.class, Common.class}) static class R4B {}
    @Configuration @Import({JpaR5Config.class, Common.class}) static class R5 {}

    @Configuration
    @EnableTransactionManagement
    @Import({HapiJpaConfig.class, JpaBatch2Config.class, Batch2JobsConfig.class, ThreadPoolFactoryConfig.class,
            SubscriptionChannelConfig.class, SubscriptionSubmitterConfig.class})
    static class Common {
        @Bean JpaStorageSettings storageSettings() {
            var settings = new JpaStorageSettings();
            settings.setAllowExternalReferences(true);
            if ("server".equals(System.getProperty("ids"))) {
                settings.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.NOT_ALLOWED);
            }
            return settings;
        }

        @Bean PartitionSettings partitionSettings() { return new PartitionSettings(); }

        @Bean SubscriptionSettings subscriptionSettings() { return new SubscriptionSettings(); }

        @Bean IBinaryStorageSvc binaryStorage() { return new MemoryBinaryStorageSvcImpl(); }

        @Bean DataSource dataSource() {
            var pool = JdbcConnectionPool.create(
                    System.getProperty("db", "jdbc:h2:mem:hapi;DB_CLOSE_DELAY=-1"), "sa", "");
            pool.setMaxConnections(30);
            return pool;
        }

        @Primary @Bean HibernatePropertiesProvider dialect() {
            return new HibernatePropertiesProvider() {
                @Override public Dialect getDialect() { return new HapiFhirH2Dialect(); }
            };
        }

        @Primary @Bean LocalContainerEntityManagerFactoryBean entityManagerFactory(
                ConfigurableListableBeanFactory beans, FhirContext fhir, JpaStorageSettings settings, DataSource source) {
            var factory = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
            factory.setPersistenceUnitName("HAPI_PU");
            factory.setDataSource(source);
            var properties = new Properties();
            properties.put("hibernate.dialect", HapiFhirH2Dialect.class.getName());
            properties.put("hibernate.hbm2ddl.auto", "update");
            properties.put("hibernate.jdbc.batch_size", "20");
            properties.put("hibernate.search.enabled", "false");
            factory.setJpaProperties(properties);
            return factory;
        }

        @Primary @Bean JpaTransactionManager transactionManager(EntityManagerFactory factory) {
            return new JpaTransactionManager(factory);
        }
    }
}
