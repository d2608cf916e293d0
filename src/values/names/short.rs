//! Short forms of given names.

/// Each line begins with a name, and goes on with what its bearers are called.
const FORMS: &str = "
abigail abby gail
abraham abe
albert al bert
alexander alex alec sasha sandy xander
alexandra alex sasha sandra lexi
alfred al fred alfie
alice ali
amanda mandy
andrew andy drew
angela angie
anthony tony
antonio tony
arthur art
barbara barb babs
benjamin ben benny
beatrice bea trixie
bradley brad
caroline carol carrie
catherine cathy kate katie cat
charles charlie chuck chas
charlotte charlie lottie
christina chris tina christy
christine chris tina chrissy
christopher chris topher kit
cynthia cindy
daniel dan danny
daniela dani
david dave davey
deborah deb debbie
dennis denny
dolores lola
donald don donnie
dorothy dot dottie dolly
douglas doug
edward ed eddie ned ted teddy
eleanor ellie nell nora
elizabeth liz beth betty betsy eliza lisa libby lizzie elsie
emily em emmy
eugene gene
evelyn eve evie
ezekiel zeke
florence flo flora
frances fran frankie
francis frank
francisco paco pancho frank cisco
frederick fred freddie
gabriel gabe
gabriela gabi
george georgie
gerald gerry jerry
gregory greg
guadalupe lupe
guillermo memo
gwendolyn gwen
harold hal harry
helen nell nellie
henry hank harry hal
herbert herb bert
ignacio nacho
isabella bella izzy
isabel bella izzy
jacob jake
jacqueline jackie
james jim jimmy jamie
janet jan
jeffrey jeff
jennifer jen jenny
jeremy jerry
jesus chuy
jessica jess jessie
joanna jo
john jack johnny jon
jonathan jon nathan johnny
jose pepe
joseph joe joey
josephine jo josie
joshua josh
juan juanito
judith judy
julia jules
katherine kathy kate katie kat kay
kathleen kathy kate katie
kenneth ken kenny
kimberly kim
lawrence larry laurie
leonard leo len lenny
leonardo leo
lillian lily lil
louis lou
louise lou
lucille lucy
luis lucho
madeline maddie
manuel manny
margaret maggie meg peggy marge margie greta daisy rita
maria mary mia
martha marty
martin marty
matthew matt
maximilian max
megan meg
melissa missy mel
michael mike mick mickey
michelle shelly
mildred millie
mitchell mitch
nancy nan
natalie nat
nathan nate
nathaniel nate nathan nat
nicholas nick nico
nicole nikki
oliver ollie
olivia liv
pamela pam
patricia pat patty tricia trish
patrick pat paddy
peter pete
philip phil
priscilla cilla
rachel rae
raymond ray
rebecca becca becky
reginald reggie reg
richard rick rich dick ricky
robert bob rob bobby robbie bert
roberto beto
roberta bobbie
ronald ron ronnie
rosario charo
russell russ
samantha sam sammy
samuel sam sammy
sandra sandy
sarah sally sadie
sophia sophie
stephanie steph
stephen steve
steven steve
stuart stu
susan sue susie
suzanne sue suzy
teresa terri tess
theodore ted theo teddy
theresa terri tess
thomas tom tommy
timothy tim
valerie val
vanessa nessa
veronica ronnie
victor vic
victoria vicky tori
vincent vince vinny
virginia ginny ginger
walter walt wally
wilhelmina mina
william bill will billy willy liam
winifred winnie
zachary zach zack
";

/// Whether one may be a short form of the other: by the list, or because it is how the other begins. A person looks at it.
pub fn may_be(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let listed = |line: &str| {
        let mut forms = line.split(' ');
        // Two short forms of one name may be one person's, as Bob and Rob.
        forms.any(|form| form == short) && line.split(' ').any(|form| form == long)
    };
    (short.chars().count() > 2 && long.starts_with(short)) || FORMS.lines().any(listed)
}

#[cfg(test)]
mod tests {
    use super::may_be;

    #[test]
    fn bill_may_be_william_and_is_not_robert() {
        for (one, other) in [
            ("bill", "william"),
            ("william", "bill"),
            ("peggy", "margaret"),
            ("bob", "rob"),
            ("lupe", "guadalupe"),
            ("dan", "daniel"),
        ] {
            assert!(may_be(one, other), "{one} {other}");
        }
        for (one, other) in [("bill", "robert"), ("sam", "maria"), ("al", "alina")] {
            assert!(!may_be(one, other), "{one} {other}");
        }
    }
}
