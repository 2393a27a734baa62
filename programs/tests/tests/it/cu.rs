use program_tests::{Invoice, Net, net::START, person};
use escrow_interface::terms::WAIT_SECONDS;

#[test]
fn costs() {
    let mut net = Net::new();
    let i = Invoice::with(|t| t.flags = 1);
    i.set_up(&mut net, 500_000);
    println!("settle creates {:?}", net.send(&[i.settle()]).map(|d| (d.units, d.events)));
    net.fund(i.address, i.mint(), false, 100);
    println!("settle exists {:?}", net.send(&[i.settle()]).map(|d| (d.units, d.logs)));
    println!("pay {:?}", net.send(&[i.pay(person("payer"), 1000)]).map(|d| d.units));
    net.fund(i.address, i.mint(), false, 100);
    println!("cancel {:?}", net.send(&[i.cancel(i.payee())]).map(|d| d.units));
    println!("refund {:?}", net.send(&[i.refund()]).map(|d| d.units));
    println!("close vault {:?}", net.send(&[i.close_vault(person("keeper"))]).map(|d| d.units));
    net.give(i.address, 5_000_000);
    println!("refund native {:?}", net.send(&[i.refund_native()]).map(|d| d.units));
    net.warp(START + 86_400 + WAIT_SECONDS);
    println!("close record {:?}", net.send(&[i.close_record(person("keeper"))]).map(|d| (d.units, d.logs)));
    let i = Invoice::with(|t| t.amount = 777);
    let mut net = Net::new();
    i.set_up(&mut net, 0);
    net.svm.set_account(i.vault(), Default::default()).unwrap();
    println!("open vault {:?}", net.send(&[i.open_vault(person("keeper"))]).map(|d| d.units));
    net.fund(i.address, i.mint(), false, 777);
    println!("settle exists {:?}", net.send(&[i.settle()]).map(|d| (d.units, d.logs)));
    println!("close vault of ours {:?}", net.send(&[i.close_vault(person("keeper"))]).map(|d| d.units));
}
