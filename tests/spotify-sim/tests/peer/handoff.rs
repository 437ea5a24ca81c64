//! The whole way, from the phone on the local network to the sound: in a
//! network of its own, for multicast.

use spotify_sim::{
    PlayOptions, Sim, SimOptions,
    phone::{Login, Phone},
    rigs::Namespace,
};

use crate::{LIMIT, receiver::Peer};

#[test]
fn a_phone_hands_its_user_over_and_another_one_takes_the_receiver_from_it() {
    if std::env::var_os("SISKIN_PEER").is_none() {
        return;
    }
    let _network = Namespace::enter().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let sim = Sim::start(SimOptions::default()).await.unwrap();
        let Some(_peer) = Peer::discoverable(&sim) else {
            return;
        };
        let phone = Phone::new("a phone");
        let found = phone.find("Peer", LIMIT).await.unwrap();
        let info = phone.get_info(&found).await.unwrap();
        let album = sim.catalogue().titled("Tones");
        for user in ["kim", "alex"] {
            let login = Login::stored(&sim.users().get(user).unwrap().stored_credential());
            let answer = phone.add_user(&found, &info, user, &login).await.unwrap();
            assert_eq!(answer.status(), Some(101));
            let app = sim.controller(user);
            app.wait_for_device("Peer", LIMIT).await.unwrap();
            let reply = app
                .play(&album.uri(), PlayOptions::default())
                .await
                .unwrap();
            assert!(reply.success);
            app.wait_until(LIMIT, |state| state.playing).await.unwrap();
        }
        let kim = sim.controller("kim");
        kim.wait_until_gone("Peer", LIMIT).await.unwrap();
        assert_eq!(kim.state().active, None);
        sim.stop().await;
    });
}
